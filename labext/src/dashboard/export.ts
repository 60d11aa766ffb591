/** What the dashboard shows as files: a picture of its charts, and the figures as a table. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from '../api/errors';
import { inkOf } from '../chart/colours';
import { HEAT_METRICS } from '../model/heat';
import { METRICS } from '../model/metrics';
import { clockTime, profileName } from '../model/words';
import { lookOf } from './feed';
import type { DashboardModel } from './model';
import { processName } from './processlist';

/** Pixels around and between the parts of a picture. */
const SPACE = 12;
const HEAD = 20;

export function saveCsv(model: DashboardModel): void {
  const subjects = model.subjects;
  const rows = subjects.length ? pastRows(model, subjects) : fleetRows(model);
  save(new Blob([`${rows.join('\n')}\n`], { type: 'text/csv' }), `gpus-${stamp(model)}.csv`);
}

/** A row per time, subject and metric, as data frames like it; what is unknown has no row. */
export function pastRows(model: DashboardModel, subjects: readonly string[]): string[] {
  const rows = ['time,utc,subject,metric,mean,min,max'];
  const { from, to } = model.window;
  for (const subject of subjects) {
    const stretch = model.past.line(subject)?.stretch();
    stretch?.times.forEach((time, i) => {
      if (time < from || time > to) {
        return;
      }
      METRICS.forEach((metric, column) => {
        const [mean, min, max] = [stretch.mean, stretch.min, stretch.max].map(
          one => one[column]?.[i] ?? NaN
        );
        if (mean !== undefined && !Number.isNaN(mean)) {
          const utc = new Date(time * 1000).toISOString();
          rows.push([time, utc, cell(subject), metric, mean, min, max].join(','));
        }
      });
    });
  }
  return rows;
}

/** A row per GPU with its newest figures. */
export function fleetRows(model: DashboardModel): string[] {
  const look = lookOf(model.workbench.telemetry);
  const rows = [`time,gpu,uuid,node,pool,${HEAT_METRICS.join(',')}`];
  for (const gpu of model.heat.gpus) {
    const values = HEAT_METRICS.map(metric => look.value(gpu.uuid, metric));
    const about = [gpu.name, gpu.uuid, gpu.node, gpu.pool].map(cell);
    rows.push([look.time, ...about, ...values.map(v => (Number.isNaN(v) ? '' : v))].join(','));
  }
  return rows;
}

/** The map and the charts under each other, as they are drawn now, with their titles. */
export function savePng(model: DashboardModel, trans: TranslationBundle): void {
  const page = document.querySelector<HTMLElement>('.gw-dash:not(.lm-mod-hidden)');
  const sources = [...(page?.querySelectorAll<HTMLCanvasElement>('canvas') ?? [])].filter(
    one => one.width > 0 && one.offsetParent !== null
  );
  const context = document.createElement('canvas').getContext('2d');
  if (!page || !context || sources.length === 0) {
    throw new ApiError(
      'nothing_to_draw',
      trans.__('There is nothing to draw.'),
      trans.__('Pick a GPU, or turn "Table" off.'),
      0
    );
  }
  const ratio = window.devicePixelRatio || 1;
  const ink = inkOf(page);
  const width = Math.max(...sources.map(one => one.width / ratio)) + 2 * SPACE;
  const heights = sources.map(one => one.height / ratio + HEAD + SPACE);
  const { canvas } = context;
  canvas.width = width * ratio;
  canvas.height = (heights.reduce((sum, one) => sum + one, HEAD + SPACE) + SPACE) * ratio;
  context.scale(ratio, ratio);
  context.fillStyle = ink.page;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = ink.text;
  context.font = `600 13px ${ink.font}`;
  context.fillText(titleOf(model, trans), SPACE, SPACE + 10);
  let top = HEAD + SPACE;
  sources.forEach((source, i) => {
    const chart = source.closest('.gw-chart');
    const title = chart?.querySelector('.gw-chart-head')?.textContent ?? '';
    context.fillStyle = ink.text;
    context.font = `11px ${ink.font}`;
    context.fillText(title, SPACE, top + 12);
    context.drawImage(source, SPACE, top + HEAD, source.width / ratio, source.height / ratio);
    top += heights[i] ?? 0;
  });
  canvas.toBlob(blob => {
    if (blob) {
      save(blob, `gpus-${stamp(model)}.png`);
    }
  }, 'image/png');
}

function titleOf(model: DashboardModel, trans: TranslationBundle): string {
  const { gpu, slice, process, window, workbench } = model;
  const now = workbench.clock.now;
  const what =
    model.shown.tab === 'mine'
      ? trans.__('My leases')
      : [
          gpu?.name ?? trans.__('Fleet'),
          slice && profileName(slice.profile),
          process && processName(trans, process)
        ]
          .filter(Boolean)
          .join(' · ');
  const simulated = workbench.status?.simulated ? ` · ${trans.__('simulated GPUs')}` : '';
  return `${what}, ${clockTime(window.from, now)} – ${clockTime(window.to, now)}${simulated}`;
}

/** Quoted where a comma or a quote would break the row; a leading sign is not taken for a formula. */
function cell(text: string): string {
  const safe = /^[=+@-]/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function stamp(model: DashboardModel): string {
  return new Date(model.window.to * 1000).toISOString().slice(0, 19).replaceAll(':', '');
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
