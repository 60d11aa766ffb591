/** What runs on a GPU, under the names people know: a notebook's path, a job, a cluster. */

import React, { useEffect, useState } from 'react';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Gpu, ProcessSample } from '../api/types';
import { written } from '../model/metrics';
import { profileName } from '../model/words';
import { useDashboard } from './context';
import { onGpu } from './feed';

/** Milliseconds between two reads while somebody looks. */
const EVERY = 2000;

export function Processes(props: { gpu: Gpu }): React.ReactElement {
  const { trans } = useDashboard();
  const { gpu } = props;
  const { processes, problem } = useProcesses();
  const here = (processes ?? []).filter(one => onGpu(one, gpu));
  return (
    <section className="gw-dash-part" aria-label={trans.__('Processes')}>
      <h4>{trans.__('Processes')}</h4>
      {problem && <p className="gw-hint">{`${problem.message} ${problem.hint}`}</p>}
      {here.length === 0 ? (
        <p className="gw-empty" data-testid="gw-processes">
          {processes === null
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
              <Row key={`${one.pid ?? ''} ${i}`} process={one} gpu={gpu} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Row(props: { process: ProcessSample; gpu: Gpu }): React.ReactElement {
  const { trans } = useDashboard();
  const { process, gpu } = props;
  const slice = gpu.segments.find(
    one => one.slice_id !== null && one.slice_id === process.slice_id
  );
  const stranger = process.owner === 'stranger';
  return (
    <tr data-testid="gw-process" data-stranger={stranger}>
      <th scope="row">
        {process.name}
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
      <td>{written('share', process.activity ?? NaN)}</td>
      <td>{written('bytes', process.memory_bytes ?? NaN)}</td>
      <td title={process.command ?? undefined}>{process.pid ?? '–'}</td>
    </tr>
  );
}

/** Read again and again, while the dashboard can be seen and is not held still. */
function useProcesses(): { processes: readonly ProcessSample[] | null; problem: ApiError | null } {
  const { model } = useDashboard();
  const [processes, setProcesses] = useState<readonly ProcessSample[] | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      if (model.active && !model.paused && model.lostSince === null) {
        try {
          const found = await model.workbench.api.processes();
          if (!gone) {
            setProcesses(found);
            setProblem(null);
          }
        } catch (reason) {
          if (!gone) {
            setProblem(asApiError(reason));
          }
        }
      }
      if (!gone) {
        timer = setTimeout(() => void read(), EVERY);
      }
    };
    void read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [model]);
  return { processes, problem };
}
