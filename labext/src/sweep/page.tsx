/**
 * A sweep in the main area: how far it is, which run is best, and all runs as a table.
 *
 * `data-testid`: gw-sweep (`data-sweep`, `data-state`), gw-sweep-count, gw-sweep-best,
 * gw-sweep-compare, gw-sweep-stop, gw-sweep-sort-NAME (a column), gw-sweep-run (`data-number`,
 * `data-state`, `data-best`): gw-sweep-choice, gw-sweep-job.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useState } from 'react';

import type { Sweep } from '../api/types';
import { MOST_COMPARED } from '../job/comparison';
import { figure } from '../model/jobs';
import type { ISeenRun } from '../model/sweeps';
import {
  bestWords,
  countWords,
  judgedBy,
  parameters,
  seenRuns,
  sortedRuns,
  sweepIsOver,
  tellingJobs
} from '../model/sweeps';
import type { Workbench } from '../model/workbench';
import { countdown } from '../model/words';
import { useFollowed } from '../surface/follow';
import { ActionButton, Skeleton, Trouble, useAction } from '../surface/parts';
import { StateTag } from '../surface/state';

export interface ISweepContext {
  readonly workbench: Workbench;
  readonly id: string;
  openJob(id: string): Promise<void>;
  compare(ids: readonly string[]): Promise<void>;
  /** Ask, then stop it and its jobs. */
  stop(sweep: Sweep): Promise<void>;
  readonly trans: TranslationBundle;
}

export function SweepPage(props: { context: ISweepContext }): React.ReactElement {
  const { workbench, id, trans } = props.context;
  const sweep = useFollowed(workbench.sweeps.changed, () => workbench.sweeps.get(id));
  const phase = useFollowed(workbench.changed, () => workbench.phase);
  return (
    <div
      className="gw-compare"
      data-testid="gw-sweep"
      data-sweep={id}
      data-state={sweep?.state ?? (phase === 'ready' ? 'failed' : 'loading')}
    >
      {sweep ? (
        <Known {...props} sweep={sweep} />
      ) : phase === 'ready' ? (
        <Trouble
          problem={{
            message: trans.__('There is no sweep %1.', id),
            hint: trans.__('Its record is gone. Close this tab.')
          }}
        />
      ) : (
        <Skeleton lines={8} />
      )}
    </div>
  );
}

interface IKnownProps {
  context: ISweepContext;
  sweep: Sweep;
}

function Known(props: IKnownProps): React.ReactElement {
  const { context, sweep } = props;
  const { workbench, trans } = context;
  useFollowed(workbench.jobs.changed, () => workbench.jobs.items);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const runs = seenRuns(sweep, id => workbench.jobs.get(id));
  const telling = chosen.size ? [...chosen] : tellingJobs(sweep, runs, MOST_COMPARED);
  const compare = useAction(() => context.compare(telling));
  const stop = useAction(() => context.stop(sweep));
  const failed = [compare, stop].find(one => one.problem);
  const best = bestWords(sweep);
  return (
    <>
      <div className="gw-jobhead-row">
        <h2>{sweep.name}</h2>
        <StateTag state={sweep.state} />
        <span className="gw-jobhead-message" role="status" data-testid="gw-sweep-count">
          {countWords(trans, sweep)}
        </span>
        <span className="gw-jobhead-buttons">
          <button
            className="gw-button"
            data-testid="gw-sweep-compare"
            disabled={compare.busy || telling.length === 0}
            title={
              chosen.size ? '' : trans.__('Those with the best values; tick others in the table')
            }
            onClick={compare.go}
          >
            {trans.__('Compare curves (%1)', telling.length)}
          </button>
          {!sweepIsOver(sweep) && (
            <ActionButton action={stop} testid="gw-sweep-stop" mood="warn">
              {trans.__('Stop…')}
            </ActionButton>
          )}
        </span>
      </div>
      {failed?.problem && (
        <Trouble problem={failed.problem} retry={failed.go} dismiss={failed.forget} />
      )}
      <dl className="gw-job-facts">
        <div>
          <dt>{trans.__('best')}</dt>
          <dd data-testid="gw-sweep-best">{best || trans.__('none has ended well yet')}</dd>
        </div>
        <div>
          <dt>{trans.__('at a time')}</dt>
          <dd>{sweep.at_most}</dd>
        </div>
      </dl>
      <Runs {...props} runs={runs} chosen={chosen} choose={setChosen} />
    </>
  );
}

interface IColumn {
  readonly name: string;
  readonly read: (run: ISeenRun) => unknown;
  readonly shown: (run: ISeenRun) => React.ReactNode;
}

function Runs(
  props: IKnownProps & {
    runs: readonly ISeenRun[];
    chosen: ReadonlySet<string>;
    choose: (ids: ReadonlySet<string>) => void;
  }
): React.ReactElement {
  const { context, sweep, runs, chosen, choose } = props;
  const { trans } = context;
  const [sort, setSort] = useState<{ name: string; down: boolean } | null>(null);
  const columns = columnsOf(
    trans,
    sweep,
    judgedBy(
      sweep,
      runs.map(run => run.job)
    )
  );
  const by = columns.find(one => one.name === sort?.name);
  const shown = by ? sortedRuns(runs, by.read, sort?.down ?? false) : runs;
  const tick = (id: string, on: boolean): void => {
    const ids = new Set(chosen);
    if (on) {
      ids.add(id);
    } else {
      ids.delete(id);
    }
    choose(ids);
  };
  return (
    <div className="gw-tablebox" tabIndex={0} role="region" aria-label={trans.__('Runs')}>
      <table className="gw-table">
        <thead>
          <tr>
            <th scope="col" className="gw-mod-tick">
              <span className="gw-hidden">{trans.__('Compare')}</span>
            </th>
            {columns.map(({ name }) => (
              <th
                key={name}
                scope="col"
                aria-sort={
                  by?.name === name ? (sort?.down ? 'descending' : 'ascending') : undefined
                }
              >
                <button
                  className="gw-sort"
                  data-testid={`gw-sweep-sort-${name}`}
                  onClick={() => setSort({ name, down: by?.name === name && !sort?.down })}
                >
                  {name}
                  {by?.name === name && <span aria-hidden="true">{sort?.down ? ' ▾' : ' ▴'}</span>}
                </button>
              </th>
            ))}
            <th scope="col">{trans.__('state')}</th>
            <th scope="col">{trans.__('job')}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(run => (
            <tr
              key={run.number}
              className={run.number === sweep.best ? 'gw-mod-best' : ''}
              data-testid="gw-sweep-run"
              data-number={run.number}
              data-state={run.state}
              data-best={run.number === sweep.best}
            >
              <td>
                {run.job && (
                  <input
                    type="checkbox"
                    checked={chosen.has(run.job.id)}
                    disabled={!chosen.has(run.job.id) && chosen.size >= MOST_COMPARED}
                    aria-label={trans.__('Compare %1', run.job.name)}
                    data-testid="gw-sweep-choice"
                    onChange={event => tick(run.job_id ?? '', event.target.checked)}
                  />
                )}
              </td>
              {columns.map(column => (
                <td key={column.name}>{column.shown(run)}</td>
              ))}
              <td>
                <StateTag state={run.state} />
              </td>
              <td className="gw-mod-words">
                {run.job_id !== null && run.job && (
                  <button
                    className="gw-link"
                    data-testid="gw-sweep-job"
                    onClick={() => void context.openJob(run.job_id ?? '')}
                  >
                    {run.job_id}
                  </button>
                )}{' '}
                {['failed', 'refused', 'lost'].includes(run.state) && run.message}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function columnsOf(trans: TranslationBundle, sweep: Sweep, metric: string): IColumn[] {
  const best = trans.__('the best');
  const params = parameters(sweep).map(name => ({
    name,
    read: (run: ISeenRun) => run.params[name],
    shown: (run: ISeenRun) => String(run.params[name] ?? '')
  }));
  return [
    {
      name: '#',
      read: run => run.number,
      shown: run => (
        <>
          {run.number + 1}
          {run.number === sweep.best && (
            <span role="img" aria-label={best} title={best}>
              {' ★'}
            </span>
          )}
        </>
      )
    },
    ...params,
    {
      name: metric,
      read: run => run.value,
      shown: run => (run.value === null ? '–' : figure(run.value))
    },
    { name: trans.__('step'), read: run => run.step, shown: run => run.step ?? '–' },
    {
      name: trans.__('took'),
      read: run => run.seconds,
      shown: run => (run.seconds === null ? '–' : countdown(run.seconds))
    }
  ];
}
