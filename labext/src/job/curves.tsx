/** The tab "Metrics": a chart for each metric that was logged, and what the GPUs did beside them. */

import React, { useEffect, useState } from 'react';

import type { History, Job } from '../api/types';
import type { Columns } from '../chart/curvechart';
import { CurveChart } from '../chart/curvechart';
import type { Along } from '../model/curves';
import { drawn, smoothed } from '../model/curves';
import { chiefMetric, jobIsOver } from '../model/jobs';
import { Check, Choice } from '../surface/choices';
import { useTold } from '../surface/follow';
import { useJob } from './context';
import type { JobModel } from './model';

/** Points of a line that are drawn: more than a chart has pixels help nobody. */
const DRAWN = 900;
/** How much the smooth line forgets with each point. */
const SMOOTH = 0.9;

interface ILooks {
  readonly all: boolean;
  readonly along: Along;
  readonly log: boolean;
  readonly smooth: boolean;
}

export function CurvesTab(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { model, trans } = useJob();
  useTold(model.drawn, 500);
  useEffect(() => void model.lookBack(), [model, job.resumed_from]);
  const [looks, setLooks] = useState<ILooks>({
    all: false,
    along: 'step',
    log: false,
    smooth: false
  });
  const { names } = model;
  const several = names.some(name => model.curves.ranks(name).length > 1);
  return (
    <>
      <Looks looks={looks} several={several} set={change => setLooks({ ...looks, ...change })} />
      {names.length === 0 && (
        <p className="gw-empty" data-testid="gw-curves-empty">
          {jobIsOver(job)
            ? trans.__('No metrics were logged.')
            : trans.__('No metrics yet. They come from TensorBoard files and from gw.log:')}
          {!jobIsOver(job) && <code className="gw-codeline">gw.log(step, loss=loss.item())</code>}
        </p>
      )}
      <div className="gw-charts gw-mod-curves">
        {names.map(name => (
          <MetricChart key={name} name={name} looks={looks} />
        ))}
        {job.started_at !== null && <GpuChart looks={looks} />}
      </div>
    </>
  );
}

function Looks(props: {
  looks: ILooks;
  several: boolean;
  set: (change: Partial<ILooks>) => void;
}): React.ReactElement {
  const { looks, several, set } = props;
  const { trans } = useJob();
  const check = (
    name: 'log' | 'smooth' | 'all',
    words: string,
    testid: string
  ): React.ReactElement => (
    <Check on={looks[name]} testid={testid} turn={on => set({ [name]: on })}>
      {words}
    </Check>
  );
  return (
    <div className="gw-row gw-curves-bar">
      <Choice
        label={trans.__('along')}
        value={looks.along}
        testid="gw-curves-along"
        choose={value => set({ along: value as Along })}
      >
        <option value="step">{trans.__('steps')}</option>
        <option value="time">{trans.__('time')}</option>
      </Choice>
      {several && check('all', trans.__('all ranks'), 'gw-curves-ranks')}
      {check('log', trans.__('log scale'), 'gw-curves-log')}
      {check('smooth', trans.__('smooth'), 'gw-curves-smooth')}
    </div>
  );
}

function MetricChart(props: { name: string; looks: ILooks }): React.ReactElement {
  const { name, looks } = props;
  const { model, themeChanged, trans } = useJob();
  const known = model.curves.ranks(name);
  const ranks = looks.all ? known : known.slice(0, 1);
  // At another time there is nothing beside it: a run before stands along steps only.
  const earlier = looks.along === 'step' && model.before(name) !== null;
  return (
    <CurveChart
      title={name}
      curves={[
        ...ranks.map(rank => ({ name: trans.__('rank %1', rank) })),
        ...(earlier ? [{ name: trans.__('the run before'), before: true }] : [])
      ]}
      columns={line => {
        const own = line < ranks.length;
        const curve = own ? model.curves.curve(name, ranks[line] ?? 0) : model.before(name);
        const most = Math.max(100, Math.round(DRAWN / Math.sqrt(Math.max(1, ranks.length))));
        return curve
          ? drawn(smoothed(curve, looks.smooth ? SMOOTH : 0), looks.along, most, looks.log)
          : [[], []];
      }}
      mark={{ at: () => (earlier ? model.resumedAt : null), word: trans.__('resumed') }}
      along={looks.along}
      log={looks.log}
      drawn={model.drawn}
      themeChanged={themeChanged}
      group={`gw-job-${model.id}-${looks.along}`}
      nothing={trans.__('Nothing to draw on this scale.')}
      stepWord={trans.__('step')}
      testid={`gw-curve-${name}`}
      key={`${looks.smooth}`}
    />
  );
}

/** Use and memory of the slices on the same steps or times as the metrics. */
function GpuChart(props: { looks: ILooks }): React.ReactElement {
  const { looks } = props;
  const { model, themeChanged, trans } = useJob();
  return (
    <CurveChart
      title={trans.__('GPU use')}
      curves={[
        { name: trans.__('use, all slices'), area: true },
        { name: trans.__('memory, of the fullest') }
      ]}
      columns={curve => gpuColumns(model, curve === 0 ? 'activity' : 'memory', looks.along)}
      along={looks.along}
      range={[0, 1]}
      written={value => `${Math.round(value * 100)} %`}
      drawn={model.drawn}
      themeChanged={themeChanged}
      group={`gw-job-${model.id}-${looks.along}`}
      nothing={trans.__('Nothing is known of what its slices did.')}
      stepWord={trans.__('step')}
      testid="gw-curve-gpu"
    />
  );
}

/** Shares 0..1: the mean use of all slices, or the memory of the one that is fullest. */
export function gpuColumns(model: JobModel, what: 'activity' | 'memory', along: Along): Columns {
  const { gpu } = model;
  if (!gpu) {
    return [[], []];
  }
  const values = what === 'activity' ? meanUse(gpu) : fullest(gpu, sliceBytes(model));
  const chief = chiefMetric(model.curves.names);
  const curve = chief === null ? null : model.curves.curve(chief, 0);
  if (along === 'step' && !curve) {
    return [[], []];
  }
  const places: number[] = [];
  const shown: (number | null)[] = [];
  gpu.times.forEach((time, i) => {
    const place = along === 'time' ? time : (curve?.stepAt(time + gpu.step / 2) ?? NaN);
    if (!Number.isNaN(place) && place > (places.at(-1) ?? -Infinity)) {
      places.push(place);
      shown.push(values[i] ?? null);
    }
  });
  return [places, shown];
}

function meanUse(gpu: History): (number | null)[] {
  const all = gpu.series.filter(one => one.metric === 'activity');
  return gpu.times.map((_, i) => {
    const known = all.map(one => one.mean[i]).filter(one => one !== null && one !== undefined);
    return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : null;
  });
}

function fullest(gpu: History, bytes: ReadonlyMap<string, number>): (number | null)[] {
  const all = gpu.series.filter(one => one.metric === 'memory_bytes' && bytes.get(one.subject));
  return gpu.times.map((_, i) => {
    const shares = all.flatMap(one => {
      const used = one.mean[i];
      return used === null || used === undefined ? [] : [used / (bytes.get(one.subject) ?? 1)];
    });
    return shares.length ? Math.max(...shares) : null;
  });
}

/** The memory of each slice of the job; of an ended lease by what its profile has. */
function sliceBytes(model: JobModel): Map<string, number> {
  const { workbench, job } = model;
  const lease = workbench.leases.get(job?.request_id ?? -1);
  const found = new Map<string, number>();
  for (const slice of lease?.slices ?? []) {
    found.set(slice.id, slice.memory_bytes);
  }
  const segments = workbench.fleet?.gpus.flatMap(gpu => gpu.segments) ?? [];
  const alike = segments.find(one => one.profile === job?.per_rank)?.memory_bytes;
  for (const rank of job?.ranks ?? []) {
    if (rank.slice_id !== null && !found.has(rank.slice_id) && alike !== undefined) {
      found.set(rank.slice_id, alike);
    }
  }
  return found;
}
