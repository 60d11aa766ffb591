/** One GPU of the map in words: under the pointer, at the keyboard's focus, and for screen readers. */

import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { Mark } from '../model/heat';
import { nameOf, unitOf, written } from '../model/metrics';
import { shortName } from '../model/paths';
import { duration, memoryOf, profileName } from '../model/words';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import { lookOf } from './feed';
import type { DashboardModel } from './model';

const WIDTH = 250;
/** Holders that are named; of more only the number. */
const NAMED = 4;

export function HeatTip(props: {
  cell: number;
  left: number;
  top: number;
  cellHeight: number;
  room: number;
}): React.ReactElement | null {
  const { model, trans, showNames } = useDashboard();
  useTold(model.drawn, 250);
  const gpu = model.heat.gpus[props.cell];
  if (!gpu) {
    return null;
  }
  const [title, ...lines] = wordsOf(model, trans, props.cell, showNames());
  return (
    <div
      className="gw-tip"
      style={{
        left: Math.max(0, Math.min(props.left, props.room - WIDTH)),
        top: props.top + props.cellHeight + 6,
        width: WIDTH
      }}
      aria-hidden="true"
      data-testid="gw-heat-tip"
      data-gpu={gpu.name}
    >
      <b>{title}</b>
      {lines.map(line => (
        <div key={line}>{line}</div>
      ))}
    </div>
  );
}

/** The GPU's name and place, its figures, then who holds it. Unknown figures are left out. */
export function wordsOf(
  model: DashboardModel,
  trans: TranslationBundle,
  cell: number,
  showNames: boolean
): string[] {
  const { heat, workbench } = model;
  const gpu = heat.gpus[cell];
  if (!gpu) {
    return [];
  }
  const look = lookOf(workbench.telemetry);
  const activity = heat.activity[cell] ?? NaN;
  const memory = look.value(gpu.uuid, 'memory_bytes');
  const lines = [
    `${gpu.name} · ${gpu.node} · ${gpu.model.replace(/^NVIDIA /, '')}`,
    Number.isNaN(activity)
      ? trans.__('Use unknown')
      : `${nameOf(trans, 'activity')} ${written('share', activity)}`
  ];
  for (const metric of ['sm_activity', 'power_watts', 'temperature_c'] as const) {
    const value = look.value(gpu.uuid, metric);
    if (!Number.isNaN(value)) {
      lines.push(`${nameOf(trans, metric)} ${written(unitOf(metric), value)}`);
    }
  }
  const used = Number.isNaN(memory) ? null : memory;
  lines.push(trans.__('Memory %1', memoryOf(trans, used, gpu.memory_bytes)));
  if (gpu.health !== 'ok') {
    lines.push(gpu.health === 'lost' ? trans.__('Lost') : trans.__('Drained'));
  }
  const since = heat.idleSince(cell);
  if ((heat.marks[cell] ?? 0) & Mark.idle) {
    lines.push(trans.__('Idle for %1', duration(trans, Math.max(60, model.time - since))));
  }
  if ((heat.marks[cell] ?? 0) & Mark.stranger) {
    lines.push(trans.__('Busy, and nobody has a lease'));
  }
  const held = gpu.segments.filter(one => one.slice_id !== null);
  for (const one of held.slice(0, NAMED)) {
    const who = one.mine
      ? one.holder
        ? trans.__('%1 (mine)', shortName(one.holder))
        : trans.__('mine')
      : showNames && one.holder
        ? shortName(one.holder)
        : trans.__('somebody else');
    lines.push(`${profileName(one.profile)}: ${who}`);
  }
  if (held.length > NAMED) {
    lines.push(trans.__('and %1 more', held.length - NAMED));
  }
  if (!held.length && gpu.health === 'ok') {
    lines.push(trans.__('Free'));
  }
  return lines;
}
