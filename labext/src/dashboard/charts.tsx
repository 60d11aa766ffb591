/** The charts of one GPU: always use and memory, the rest where the GPU tells it. */

import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Gpu } from '../api/types';
import type { IPicture } from '../chart/timechart';
import { TimeChart } from '../chart/timechart';
import type { MetricId } from '../model/metrics';
import { nameOf, unitOf, written } from '../model/metrics';
import { gigabytes } from '../model/words';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import type { DashboardModel } from './model';
import { figuresOf, known, pictureOf, togetherOf } from './picture';

interface IPlan {
  name: string;
  title: string;
  metrics: readonly MetricId[];
  /** Shown as "unknown" rather than left out. */
  always?: boolean;
}

/** Charts in the order of the questions: does it work, does it fit, what holds it up. */
function plans(trans: TranslationBundle): readonly IPlan[] {
  return [
    {
      name: 'use',
      title: trans.__('Use and SM activity'),
      metrics: ['activity', 'sm_activity'],
      always: true
    },
    { name: 'memory', title: trans.__('Memory'), metrics: ['memory_bytes'], always: true },
    {
      name: 'sms',
      title: trans.__('What the SMs do'),
      metrics: ['tensor_activity', 'dram_activity', 'sm_occupancy']
    },
    { name: 'power', title: trans.__('Power'), metrics: ['power_watts'] },
    { name: 'temperature', title: trans.__('Temperature'), metrics: ['temperature_c'] },
    { name: 'clocks', title: trans.__('Clocks'), metrics: ['sm_clock_mhz', 'memory_clock_mhz'] },
    { name: 'throttled', title: trans.__('Clocks held down'), metrics: ['throttled'] },
    { name: 'pcie', title: trans.__('PCIe'), metrics: ['pcie_rx_bytes_s', 'pcie_tx_bytes_s'] },
    {
      name: 'nvlink',
      title: trans.__('NVLink'),
      metrics: ['nvlink_rx_bytes_s', 'nvlink_tx_bytes_s']
    },
    { name: 'video', title: trans.__('Encoder and decoder'), metrics: ['encoder', 'decoder'] }
  ];
}

export function GpuCharts(props: { gpu: Gpu }): React.ReactElement {
  const { model, trans } = useDashboard();
  const { gpu } = props;
  useTold(model.drawn, 2000);
  const all = plans(trans);
  const there = all.filter(plan => plan.always || known(model, gpu.uuid, plan.metrics));
  const missing = all.filter(plan => !there.includes(plan));
  return (
    <>
      {model.shown.table ? (
        <Figures gpu={gpu} metrics={there.flatMap(plan => plan.metrics)} />
      ) : (
        <div className="gw-charts">
          {there.map(plan => (
            <Chart key={`${gpu.uuid} ${plan.name}`} gpu={gpu} plan={plan} />
          ))}
        </div>
      )}
      {missing.length > 0 && (
        <p className="gw-hint gw-dash-missing" data-testid="gw-dash-missing">
          {trans.__('Not told by this GPU: %1.', missing.map(plan => plan.title).join(' · '))}
        </p>
      )}
    </>
  );
}

function Chart(props: { gpu: Gpu; plan: IPlan }): React.ReactElement {
  const { model, themeChanged, trans } = useDashboard();
  const { gpu, plan } = props;
  const first = plan.metrics[0] ?? 'activity';
  const memory = first === 'memory_bytes';
  return (
    <TimeChart
      title={plan.title}
      unit={unitOf(first)}
      series={plan.metrics.map((metric, i) => ({
        name: nameOf(trans, metric),
        area: i === 0 && (unitOf(metric) === 'share' || memory)
      }))}
      {...(memory
        ? {
            limit: {
              value: gpu.memory_bytes,
              name: trans.__('%1 GB', gigabytes(gpu.memory_bytes))
            }
          }
        : {})}
      band
      picture={() => pictureFor(model, gpu, plan.metrics)}
      drawn={model.drawn}
      themeChanged={themeChanged}
      group="gw-dashboard"
      zoom={(from, to) => model.zoom(from, to)}
      nothing={
        model.past.loading ? trans.__('reading…') : trans.__('Unknown: the GPU does not tell it.')
      }
      testid={`gw-chart-${plan.name}`}
    />
  );
}

/** Of the GPU itself; where MIG hides its use, of its leased slices by their share of it. */
function pictureFor(model: DashboardModel, gpu: Gpu, metrics: readonly MetricId[]): IPicture {
  if (gpu.mig && metrics[0] === 'activity' && !known(model, gpu.uuid, ['activity'])) {
    const held = gpu.segments.filter(one => one.slice_id !== null);
    const ids = held.map(one => one.slice_id ?? '');
    const weights = held.map(one => one.units);
    if (held.length) {
      const picture = togetherOf(model, ids, metrics, 'sum', weights);
      const use = picture.columns[1] ?? [];
      return { ...picture, columns: [...picture.columns, use, use] }; // No spread is known.
    }
  }
  return pictureOf(model, gpu.uuid, metrics, true);
}

/** The charts in words: now, and the least, mean and most of the window. */
function Figures(props: { gpu: Gpu; metrics: readonly MetricId[] }): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 1000);
  return (
    <div className="gw-dash-tablebox" tabIndex={0}>
      <table className="gw-table" data-testid="gw-figures">
        <caption className="gw-hidden">
          {trans.__('Figures of %1 in the chosen time', props.gpu.name)}
        </caption>
        <thead>
          <tr>
            <th scope="col">{trans.__('Metric')}</th>
            <th scope="col">{trans.__('Now')}</th>
            <th scope="col">{trans.__('Least')}</th>
            <th scope="col">{trans.__('Mean')}</th>
            <th scope="col">{trans.__('Most')}</th>
          </tr>
        </thead>
        <tbody>
          {props.metrics.map(metric => {
            const { now, min, mean, max } = figuresOf(model, props.gpu.uuid, metric);
            const unit = unitOf(metric);
            return (
              <tr key={metric}>
                <th scope="row">{nameOf(trans, metric)}</th>
                {[now, min, mean, max].map((value, i) => (
                  <td key={i}>{written(unit, value)}</td>
                ))}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
