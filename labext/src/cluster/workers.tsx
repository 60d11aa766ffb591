/**
 * What a cluster's workers use, as bars that move: GPU activity and memory with every tick, host
 * memory and tasks as the cluster tells them.
 */

import React, { useState } from 'react';

import type { Cluster } from '../api/types';
import type { IWorkerLoad } from '../model/clusters';
import { clusterLoad, workerLoad } from '../model/clusters';
import { gigabytes, memory, memoryOf, percent } from '../model/words';
import { usePanel } from '../panel/context';
import { useFollowed } from '../surface/follow';

/** Workers drawn at once; more on demand. */
const FIRST = 8;

/** The workers with what they use now; drawn again at each tick. */
function useLoads(cluster: Cluster): IWorkerLoad[] {
  const { telemetry } = usePanel().workbench;
  useFollowed(telemetry.sampled, () => telemetry.time);
  return cluster.workers.map(worker => workerLoad(worker, telemetry));
}

/** All workers together. */
export function ClusterLoad(props: { cluster: Cluster }): React.ReactElement | null {
  const { trans } = usePanel();
  const { cluster } = props;
  const loads = useLoads(cluster);
  if (loads.length === 0) {
    return null;
  }
  const all = clusterLoad(loads);
  return (
    <div className="gw-gauges" data-testid="gw-cluster-load">
      <Bar
        name={trans.__('use')}
        label={trans.__('GPU activity of %1', cluster.name)}
        share={all.activity}
        text={percent(all.activity)}
        testid="gw-cluster-use"
      />
      <Bar
        name={trans.__('GPU')}
        label={trans.__('GPU memory of %1', cluster.name)}
        share={shareOf(all.memory, all.memoryTotal)}
        text={ofTotal(all.memory, all.memoryTotal)}
        title={memoryOf(trans, all.memory, all.memoryTotal)}
        testid="gw-cluster-memory"
      />
      <span className="gw-gauges-words">
        {cluster.tasks === null ? '' : trans._n('%1 task', '%1 tasks', cluster.tasks)}
      </span>
      <Bar
        name={trans.__('host')}
        label={trans.__('Host memory of %1', cluster.name)}
        share={shareOf(all.host, all.hostTotal)}
        text={ofTotal(all.host, all.hostTotal)}
        title={memoryOf(trans, all.host, all.hostTotal ?? 0)}
        testid="gw-cluster-host"
      />
    </div>
  );
}

export function Workers(props: { cluster: Cluster }): React.ReactElement {
  const { cluster } = props;
  const { trans } = usePanel();
  const loads = useLoads(cluster);
  const [all, setAll] = useState(false);
  const shown = all ? loads : loads.slice(0, FIRST);
  return (
    <>
      <ul className="gw-workers" aria-label={trans.__('Workers of %1', cluster.name)}>
        {shown.map(load => (
          <WorkerRow key={load.worker.name} load={load} />
        ))}
      </ul>
      {shown.length < loads.length && (
        <button className="gw-link" onClick={() => setAll(true)}>
          {trans.__('Show all %1 workers', loads.length)}
        </button>
      )}
    </>
  );
}

function WorkerRow(props: { load: IWorkerLoad }): React.ReactElement {
  const { load } = props;
  const { worker } = load;
  const { workbench, trans } = usePanel();
  const lease = workbench.leases.items.find(one =>
    one.slices.some(slice => slice.id === worker.slice_id)
  );
  const uuid = lease?.slices.find(slice => slice.id === worker.slice_id)?.gpu;
  const gpu = workbench.fleet?.gpus.find(one => one.uuid === uuid);
  const where = gpu?.name ?? trans.__('slice');
  return (
    <li
      className="gw-worker"
      data-testid="gw-worker"
      data-worker={worker.name}
      data-state={worker.state}
    >
      <div className="gw-worker-head">
        <span title={worker.pid === null ? '' : trans.__('process %1', worker.pid)}>
          {where} <span className="gw-worker-said">{worker.slice_id}</span>
        </span>
        <span className="gw-worker-said">{wordsOf(load, trans)}</span>
      </div>
      {worker.state === 'starting' ? null : (
        <div className="gw-gauges">
          <Bar
            name={trans.__('use')}
            label={trans.__('GPU activity on %1', where)}
            share={load.activity}
            text={percent(load.activity)}
            testid="gw-worker-use"
          />
          <Bar
            name={trans.__('GPU')}
            label={trans.__('GPU memory on %1', where)}
            share={shareOf(load.memory, load.memoryTotal)}
            text={ofTotal(load.memory, load.memoryTotal)}
            title={memoryOf(trans, load.memory, load.memoryTotal)}
            testid="gw-worker-memory"
          />
          <Bar
            name={trans.__('CPU')}
            label={trans.__('CPU cores in use on %1', where)}
            share={worker.busy === null ? null : worker.busy}
            text={worker.busy === null ? '–' : percent(worker.busy)}
            testid="gw-worker-cpu"
          />
          <Bar
            name={trans.__('host')}
            label={trans.__('Host memory of the worker on %1', where)}
            share={shareOf(load.host, load.hostTotal)}
            text={ofTotal(load.host, load.hostTotal)}
            title={memoryOf(trans, load.host, load.hostTotal ?? 0)}
            testid="gw-worker-host"
          />
        </div>
      )}
    </li>
  );
}

/** "3 tasks, 0.4 GB spilled", "starting", "moving its data". */
function wordsOf(load: IWorkerLoad, trans: ReturnType<typeof usePanel>['trans']): string {
  const { worker } = load;
  if (worker.state === 'starting') {
    return trans.__('starting');
  }
  if (worker.state === 'leaving') {
    return trans.__('leaving: moving its data');
  }
  const parts = [
    worker.tasks === null ? '' : trans._n('%1 task', '%1 tasks', worker.tasks),
    worker.spilled_bytes ? trans.__('%1 spilled', memory(worker.spilled_bytes)) : ''
  ];
  return parts.filter(Boolean).join(', ');
}

function Bar(props: {
  name: string;
  label: string;
  share: number | null;
  text: string;
  title?: string;
  testid: string;
}): React.ReactElement {
  const share = Math.min(1, Math.max(0, props.share ?? 0));
  const full = share > 0.9 && props.name !== 'use' ? ' gw-mod-full' : '';
  return (
    <span className="gw-gauge" title={props.title} data-testid={props.testid}>
      <span className="gw-gauge-name" aria-hidden="true">
        {props.name}
      </span>
      <span
        className={`gw-meter${full}`}
        role="meter"
        aria-label={props.label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={props.text}
      >
        <span className="gw-meter-fill" style={{ width: `${share * 100}%` }} />
      </span>
      <span className="gw-gauge-text">{props.text}</span>
    </span>
  );
}

function shareOf(used: number | null, total: number | null): number | null {
  return used === null || !total ? null : used / total;
}

/** "3.1/10 GB" */
function ofTotal(used: number | null, total: number | null): string {
  return `${used === null ? '–' : gigabytes(used)}/${total ? gigabytes(total) : '–'} GB`;
}
