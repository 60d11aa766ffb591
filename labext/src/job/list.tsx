/**
 * Jobs as rows of the panel: state, ranks, the loss as a small curve, and the way to the page. Those of
 * a sweep are one row together.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import { listIcon, stopIcon } from '@jupyterlab/ui-components';
import React, { useEffect, useRef, useState } from 'react';

import type { Job, RankView, Sweep } from '../api/types';
import { Trail } from '../chart/trail';
import { chiefMetric, jobIsOver, progress, sizeWords, waitWords } from '../model/jobs';
import { usePanel } from '../panel/context';
import { useFollowed } from '../surface/follow';
import { Failure, IconButton, Section, useAction } from '../surface/parts';
import type { ISquare } from '../surface/squares';
import { Squares } from '../surface/squares';
import { StateTag } from '../surface/state';
import { SweepRow } from '../sweep/row';

const FIRST = 5;

export function JobSection(): React.ReactElement {
  const { workbench, actions, trans } = usePanel();
  const jobs = useFollowed(workbench.jobs.changed, () => workbench.jobs.items);
  const [all, setAll] = useState(false);
  const sweeps = useFollowed(workbench.sweeps.changed, () => workbench.sweeps.items);
  const entries = inOneList(jobs, sweeps);
  const shown = all ? entries : entries.slice(0, FIRST);
  const alive = jobs.filter(job => !jobIsOver(job)).length;
  return (
    <Section title={trans.__('Jobs')} name="jobs" aside={alive || undefined}>
      {entries.length === 0 && (
        <p className="gw-empty">
          {trans.__('No jobs. Choose "Job" above, or in a cell: gw.launch(train, ranks=2).')}
        </p>
      )}
      <ul className="gw-list">
        {shown.map(one =>
          'runs' in one ? <SweepRow key={one.id} sweep={one} /> : <JobRow key={one.id} job={one} />
        )}
      </ul>
      <div className="gw-row">
        {shown.length < entries.length && (
          <button className="gw-link" onClick={() => setAll(true)}>
            {trans.__('Show all %1', entries.length)}
          </button>
        )}
        {jobs.length > 1 && (
          <button
            className="gw-link"
            data-testid="gw-jobs-compare"
            onClick={() => void actions.compareJobs()}
          >
            {trans.__('Compare…')}
          </button>
        )}
      </div>
    </Section>
  );
}

/** Newest first; a job of a known sweep is part of that. */
function inOneList(jobs: readonly Job[], sweeps: readonly Sweep[]): (Job | Sweep)[] {
  const known = new Set(sweeps.map(one => one.id));
  const alone = jobs.filter(job => job.sweep === null || !known.has(job.sweep));
  return [...alone, ...sweeps].sort((a, b) => b.created_at - a.created_at);
}

function JobRow(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { actions, trans } = usePanel();
  const stop = useAction(() => actions.stopJob(job));
  const open = useAction(() => actions.openJob(job));
  const logs = useAction(() => actions.openJob(job, 'logs'));
  const over = jobIsOver(job);
  return (
    <li
      className={`gw-item${over ? ' gw-mod-over' : ''}`}
      data-testid="gw-job"
      data-job={job.id}
      data-state={job.state}
    >
      <div className="gw-item-head">
        <button
          className="gw-link gw-item-name"
          title={job.command.join(' ')}
          data-testid="gw-job-open"
          onClick={open.go}
        >
          {job.name}
        </button>
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
      <Squares all={job.ranks.map(rank => squareOf(trans, rank))}>
        <span className="gw-item-what">{sizeWords(job)}</span>
      </Squares>
      <div className="gw-ranks">
        <span className="gw-item-what" data-testid="gw-job-progress">
          {progress(job, trans.__('step'))}
        </span>
        <LossTrail job={job} />
      </div>
      <Why job={job} />
      <Failure of={stop} />
    </li>
  );
}

/** What it waits for, what went wrong and what would help. */
function Why(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { workbench, trans } = usePanel();
  useFollowed(workbench.requests.changed, () => workbench.requests.items);
  const request = workbench.requests.get(job.request_id ?? -1);
  const words =
    job.state === 'waiting' ? waitWords(trans, job, request, workbench.clock.now) : job.message;
  return (
    <>
      {words && words !== job.state && <p className="gw-reason">{words}</p>}
      {job.cause?.hint && <p className="gw-reason">{job.cause.hint}</p>}
      {job.size_hint && <p className="gw-reason">{job.size_hint}</p>}
    </>
  );
}

/** Read only once it has come into view: a folded or hidden panel asks nothing. */
function LossTrail(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { trails, trans } = usePanel();
  const host = useRef<HTMLSpanElement>(null);
  const [seen, setSeen] = useState(typeof IntersectionObserver === 'undefined');
  const values = useFollowed(trails.changed, () => trails.values(job.id));
  useEffect(() => {
    const node = host.current;
    if (seen || !node) {
      return;
    }
    const watch = new IntersectionObserver(found => {
      if (found.some(one => one.isIntersecting)) {
        setSeen(true);
      }
    });
    watch.observe(node);
    return () => watch.disconnect();
  }, [seen]);
  useEffect(() => {
    if (seen) {
      trails.look(job);
    }
  }, [seen, trails, job]);
  const name = chiefMetric(Object.keys(job.metrics)) ?? '';
  return (
    <span ref={host} className="gw-trail-host">
      <Trail values={values} label={trans.__('%1 so far', name)} />
    </span>
  );
}

function squareOf(trans: TranslationBundle, one: RankView): ISquare {
  const { rank, state, exit_code, step, stands } = one;
  const parts = [
    trans.__('rank %1: %2', rank, state),
    step === null ? '' : trans.__('step %1', step),
    exit_code === null ? '' : trans.__('exit code %1', exit_code),
    stands ?? ''
  ];
  return { number: rank, look: state, title: parts.filter(Boolean).join(', ') };
}
