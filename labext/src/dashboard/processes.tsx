/**
 * What runs on a GPU, under the names people know: a notebook's path, a job, a cluster. One of them can
 * be picked for the charts, and stays in the table when it has ended.
 */

import React, { useEffect } from 'react';

import type { Gpu, ProcessSample } from '../api/types';
import { written } from '../model/metrics';
import { profileName } from '../model/words';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import { onGpu } from './feed';
import { processName } from './processlist';

export function Processes(props: { gpu: Gpu }): React.ReactElement {
  const { model, trans } = useDashboard();
  const { gpu } = props;
  const { items, problem } = model.processes;
  useEffect(() => model.processes.watch(), [model]);
  useTold(model.processes.changed);
  const ended = model.process?.ended ? model.process.last : null;
  const here = [...(ended ? [ended] : []), ...(items ?? [])].filter(one => onGpu(one, gpu));
  return (
    <section className="gw-dash-part" aria-label={trans.__('Processes')}>
      <h4>{trans.__('Processes')}</h4>
      {problem && <p className="gw-hint">{`${problem.message} ${problem.hint}`}</p>}
      {here.length === 0 ? (
        <p className="gw-empty" data-testid="gw-processes">
          {items === null
            ? trans.__('reading…')
            : trans.__('No process that you may see runs on it.')}
        </p>
      ) : (
        <table className="gw-table" data-testid="gw-processes">
          <thead>
            <tr>
              <th scope="col">{trans.__('What')}</th>
              <th scope="col">{trans.__('Slice')}</th>
              <th scope="col">{trans.__('Use')}</th>
              <th scope="col">{trans.__('Memory')}</th>
              <th scope="col">{trans.__('Process')}</th>
            </tr>
          </thead>
          <tbody>
            {here.map((one, i) => (
              <Row
                key={one.subject ?? `${one.pid ?? ''} ${i}`}
                process={one}
                gpu={gpu}
                ended={one === ended}
              />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Row(props: { process: ProcessSample; gpu: Gpu; ended: boolean }): React.ReactElement {
  const { model, trans } = useDashboard();
  const { process, gpu, ended } = props;
  const { subject } = process;
  const picked = subject !== null && model.process?.subject === subject;
  const slice = gpu.segments.find(
    one => one.slice_id !== null && one.slice_id === process.slice_id
  );
  const stranger = process.owner === 'stranger';
  return (
    <tr
      className={picked ? 'gw-mod-picked' : undefined}
      data-testid="gw-process"
      data-stranger={stranger}
      data-ended={ended}
    >
      <th scope="row">
        {subject === null ? (
          process.name
        ) : (
          <button
            className="gw-link"
            aria-label={processName(trans, { subject, last: process, ended })}
            aria-pressed={picked}
            title={
              picked ? trans.__('Charts of the whole GPU') : trans.__('Charts of this process')
            }
            data-testid="gw-process-pick"
            onClick={() =>
              model.show({ gpu: gpu.uuid, slice: null, process: picked ? null : subject })
            }
          >
            {process.name}
          </button>
        )}
        {ended && <span className="gw-tag">{trans.__('ended')}</span>}
        {stranger && (
          <span
            className="gw-tag gw-mod-bad"
            title={trans.__('Runs on a GPU without holding a lease for it')}
          >
            {trans.__('no lease')}
          </span>
        )}
      </th>
      <td>{slice ? profileName(slice.profile) : '–'}</td>
      <td>{written('share', ended ? NaN : (process.activity ?? NaN))}</td>
      <td>{written('bytes', ended ? NaN : (process.memory_bytes ?? NaN))}</td>
      <td title={process.command ?? undefined}>{process.pid ?? '–'}</td>
    </tr>
  );
}
