/**
 * The charts of one GPU, or of one slice or process on it: always use and memory, the rest where it is
 * told.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useEffect, useRef } from 'react';

import type { Gpu } from '../api/types';
import { TimeChart } from '../chart/timechart';
import type { MetricId } from '../model/metrics';
import { nameOf, unitOf, written } from '../model/metrics';
import { gigabytes, profileName } from '../model/words';
import { useTold } from '../surface/follow';
import { Heads } from '../surface/heads';
import { useDashboard } from './context';
import type { DashboardModel } from './model';
import { figuresOf, known, pictureOf } from './picture';
import { processName } from './processlist';

interface IPlan {
  name: string;
  title: string;
  metrics: readonly MetricId[];
  /** Shown as "unknown" rather than left out. */
  always?: boolean;
  /** Told of the whole GPU only. */
  whole?: boolean;
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
    { name: 'power', title: trans.__('Power'), metrics: ['power_watts'], whole: true },
    {
      name: 'temperature',
      title: trans.__('Temperature'),
      metrics: ['temperature_c'],
      whole: true
    },
    {
      name: 'clocks',
      title: trans.__('Clocks'),
      metrics: ['sm_clock_mhz', 'memory_clock_mhz'],
      whole: true
    },
    {
      name: 'throttled',
      title: trans.__('Clocks held down'),
      metrics: ['throttled'],
      whole: true
    },
    {
      name: 'pcie',
      title: trans.__('PCIe'),
      metrics: ['pcie_rx_bytes_s', 'pcie_tx_bytes_s'],
      whole: true
    },
    {
      name: 'nvlink',
      title: trans.__('NVLink'),
      metrics: ['nvlink_rx_bytes_s', 'nvlink_tx_bytes_s'],
      whole: true
    },
    {
      name: 'video',
      title: trans.__('Encoder and decoder'),
      metrics: ['encoder', 'decoder'],
      whole: true
    }
  ];
}

/** All that is told of a process. */
function plansOfProcess(trans: TranslationBundle): readonly IPlan[] {
  return [
    { name: 'use', title: trans.__('Use'), metrics: ['activity'], always: true },
    { name: 'memory', title: trans.__('Memory'), metrics: ['memory_bytes'], always: true }
  ];
}

/** Whose charts they are. */
interface ISubject {
  id: string;
  name: string;
  memory: number;
}

function subjectOf(model: DashboardModel, gpu: Gpu, trans: TranslationBundle): ISubject {
  const { slice, process } = model;
  if (process) {
    const on = gpu.segments.find(
      one => one.slice_id !== null && one.slice_id === process.last?.slice_id
    );
    const memory = (on ?? gpu).memory_bytes;
    return { id: process.subject, name: processName(trans, process), memory };
  }
  return slice
    ? { id: slice.slice_id ?? '', name: profileName(slice.profile), memory: slice.memory_bytes }
    : { id: gpu.uuid, name: gpu.name, memory: gpu.memory_bytes };
}

export function GpuCharts(props: { gpu: Gpu }): React.ReactElement {
  const { model, trans } = useDashboard();
  const { gpu } = props;
  useTold(model.drawn, 2000);
  const subject = subjectOf(model, gpu, trans);
  const part = model.slice !== null || model.process !== null;
  const all = model.process
    ? plansOfProcess(trans)
    : plans(trans).filter(plan => !part || !plan.whole);
  const there = all.filter(plan => plan.always || known(model, subject.id, plan.metrics));
  const missing = all.filter(plan => !there.includes(plan));
  return (
    <>
      {part && <Part gpu={gpu} name={subject.name} />}
      {model.shown.table ? (
        <Figures subject={subject} metrics={there.flatMap(plan => plan.metrics)} />
      ) : (
        <div className="gw-charts">
          {there.map(plan => (
            <Chart key={`${subject.id} ${plan.name}`} subject={subject} plan={plan} />
          ))}
        </div>
      )}
      {missing.length > 0 && (
        <p className="gw-hint gw-dash-missing" data-testid="gw-dash-missing">
          {trans.__(
            'Not told by %1: %2.',
            subject.name,
            missing.map(plan => plan.title).join(' · ')
          )}
        </p>
      )}
    </>
  );
}

/** That it is only a part of the GPU, and the way back. */
function Part(props: { gpu: Gpu; name: string }): React.ReactElement {
  const { model, trans } = useDashboard();
  const { gpu, name } = props;
  const { process } = model;
  const line = useRef<HTMLParagraphElement>(null);
  const subject = process?.subject;
  useEffect(() => {
    if (subject !== undefined) {
      line.current?.scrollIntoView({ block: 'nearest' }); // It was picked in a table under the charts.
    }
  }, [subject]);
  return (
    <p className="gw-dash-of" data-testid="gw-dash-of" ref={line}>
      <span role="status">
        {process
          ? trans.__('Only %1.', name)
          : trans.__('Only the slice %1. Power, clocks and links are the whole GPU’s.', name)}
        {process?.ended && ' ' + trans.__('It has ended; its past is kept for a day.')}
      </span>{' '}
      <button className="gw-link" onClick={() => model.show({ slice: null, process: null })}>
        {trans.__('Show all of %1', gpu.name)}
      </button>
    </p>
  );
}

function Chart(props: { subject: ISubject; plan: IPlan }): React.ReactElement {
  const { model, themeChanged, trans } = useDashboard();
  const { subject, plan } = props;
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
              value: subject.memory,
              name: trans.__('%1 GB', gigabytes(subject.memory))
            }
          }
        : {})}
      band
      picture={() => pictureOf(model, subject.id, plan.metrics, true)}
      drawn={model.drawn}
      themeChanged={themeChanged}
      group="gw-dashboard"
      zoom={(from, to) => model.zoom(from, to)}
      nothing={
        model.past.loading
          ? trans.__('reading…')
          : model.process
            ? trans.__('Unknown in this time.')
            : trans.__('Unknown: the GPU does not tell it.')
      }
      testid={`gw-chart-${plan.name}`}
    />
  );
}

/** The charts in words: now, and the least, mean and most of the window. */
function Figures(props: { subject: ISubject; metrics: readonly MetricId[] }): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 1000);
  return (
    <div className="gw-dash-tablebox" tabIndex={0}>
      <table className="gw-table" data-testid="gw-figures">
        <caption className="gw-hidden">
          {trans.__('Figures of %1 in the chosen time', props.subject.name)}
        </caption>
        <Heads
          heads={[
            trans.__('Metric'),
            trans.__('Now'),
            trans.__('Least'),
            trans.__('Mean'),
            trans.__('Most')
          ]}
        />
        <tbody>
          {props.metrics.map(metric => {
            const { now, min, mean, max } = figuresOf(model, props.subject.id, metric);
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
