/** Jobs as rows: state, ranks, step and newest loss, and the way to the logs. */

import { listIcon, stopIcon } from '@jupyterlab/ui-components';
import React, { useState } from 'react';

import type { Job, RankView } from '../api/types';
import { profileName } from '../model/words';
import { useFollowed, usePanel } from '../panel/context';
import { IconButton, Section, Trouble, useAction } from '../panel/parts';
import { StateTag } from '../panel/state';

const FIRST = 5;
const OVER: readonly Job['state'][] = ['succeeded', 'failed', 'stopped', 'lost'];

export function jobIsOver(job: Job): boolean {
  return OVER.includes(job.state);
}

export function JobSection(): React.ReactElement {
  const { workbench, trans } = usePanel();
  const jobs = useFollowed(workbench.jobs.changed, () => workbench.jobs.items);
  const [all, setAll] = useState(false);
  const shown = all ? jobs : jobs.slice(0, FIRST);
  const alive = jobs.filter(job => !jobIsOver(job)).length;
  return (
    <Section title={trans.__('Jobs')} name="jobs" aside={alive || undefined}>
      {jobs.length === 0 && (
        <p className="gw-empty">
          {trans.__('No jobs. Choose "Job" above, or in a cell: gw.launch(train, ranks=2).')}
        </p>
      )}
      <ul className="gw-list">
        {shown.map(job => (
          <JobRow key={job.id} job={job} />
        ))}
      </ul>
      {shown.length < jobs.length && (
        <button className="gw-link" onClick={() => setAll(true)}>
          {trans.__('Show all %1', jobs.length)}
        </button>
      )}
    </Section>
  );
}

function JobRow(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { actions, trans } = usePanel();
  const stop = useAction(() => actions.stopJob(job));
  const logs = useAction(() => actions.openLogs(job));
  const over = jobIsOver(job);
  return (
    <li
      className={`gw-item${over ? ' gw-mod-over' : ''}`}
      data-testid="gw-job"
      data-job={job.id}
      data-state={job.state}
    >
      <div className="gw-item-head">
        <button className="gw-link gw-item-name" title={job.command.join(' ')} onClick={logs.go}>
          {job.name}
        </button>
        <span className="gw-item-what">
          {job.ranks.length}×{profileName(job.per_rank)}
        </span>
        <StateTag state={job.state} />
        <IconButton
          icon={listIcon}
          label={trans.__('Logs of %1', job.name)}
          testid="gw-job-logs"
          onClick={logs.go}
        />
        {!over && (
          <IconButton
            icon={stopIcon}
            label={trans.__('Stop job %1', job.name)}
            testid="gw-job-stop"
            disabled={stop.busy || job.state === 'stopping'}
            onClick={stop.go}
          />
        )}
      </div>
      <div className="gw-ranks">
        {job.ranks.map(rank => (
          <Rank key={rank.rank} rank={rank} />
        ))}
        <span className="gw-item-what" data-testid="gw-job-progress">
          {progress(job, trans.__('step'))}
        </span>
      </div>
      {job.message && job.message !== job.state && <p className="gw-reason">{job.message}</p>}
      {job.cause?.hint && <p className="gw-reason">{job.cause.hint}</p>}
      {stop.problem && <Trouble problem={stop.problem} retry={stop.go} dismiss={stop.forget} />}
    </li>
  );
}

function Rank(props: { rank: RankView }): React.ReactElement {
  const { rank, state, exit_code, step } = props.rank;
  const { trans } = usePanel();
  const parts = [trans.__('rank %1: %2', rank, state)];
  if (step !== null) {
    parts.push(trans.__('step %1', step));
  }
  if (exit_code !== null) {
    parts.push(trans.__('exit code %1', exit_code));
  }
  if (props.rank.stands) {
    parts.push(props.rank.stands);
  }
  const title = parts.join(', ');
  return (
    <span className={`gw-rank gw-mod-${state}`} role="img" aria-label={title} title={title}>
      {rank}
    </span>
  );
}

/** "step 410 · loss 0.312". */
function progress(job: Job, stepWord: string): string {
  const parts = job.step === null ? [] : [`${stepWord} ${job.step}`];
  const name = 'loss' in job.metrics ? 'loss' : Object.keys(job.metrics)[0];
  const value = name === undefined ? undefined : job.metrics[name];
  if (name !== undefined && value !== undefined) {
    parts.push(`${name} ${Number(value.toPrecision(4))}`);
  }
  return parts.join(' · ');
}
