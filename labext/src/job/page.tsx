/**
 * A job in the main area, top to bottom: what it is and does, what went wrong or what it waits for,
 * and below tabs with all there is.
 *
 * Names for tests and other extensions, stable from now on. `data-testid`:
 *
 *   gw-jobpage        all of it; `data-job`, `data-state` (of the job, or loading | failed),
 *   gw-jobpage-facts, gw-jobpage-message; gw-jobpage-stop, gw-jobpage-resume, gw-jobpage-again,
 *                     gw-jobpage-sweep, gw-jobpage-compare, gw-jobpage-board, gw-jobpage-notebook,
 *                     gw-jobpage-parent (resumed from), gw-jobpage-of-sweep
 *   gw-jobpage-wait   why it does not run yet
 *   gw-diagnosis      `data-code`; gw-diagnosis-message, gw-diagnosis-hint, gw-diagnosis-lines,
 *                     gw-diagnosis-resume, gw-diagnosis-logs
 *   gw-job-tab-NAME   metrics | logs | ranks | checkpoints | spec
 *   gw-curves-…       ranks (one | all), along (step | time), log, smooth; gw-curve-NAME
 *                     (`data-points`), gw-curve-gpu
 *   gw-logs           gw-logs-rank, gw-logs-stream, gw-logs-find, gw-logs-found, gw-logs-only,
 *                     gw-logs-all, gw-logs-matches, gw-logs-follow, gw-logs-earlier, gw-logs-text (`data-lines`), gw-log-line
 *   gw-ranks-table    gw-rank-row (`data-rank`, `data-state`)
 *   gw-checkpoint     `data-step`, `data-whole`; gw-checkpoint-resume
 *   gw-spec           the spec as text
 */

import React from 'react';

import { jobIsOver, waitWords } from '../model/jobs';
import { useTold } from '../surface/follow';
import { Skeleton, Trouble } from '../surface/parts';
import { CheckpointsTab } from './checkpoints';
import { useClock, useJob, useThisJob } from './context';
import { CurvesTab } from './curves';
import { Diagnosis } from './diagnosis';
import { JobHead } from './head';
import { LogsTab } from './logs';
import type { Tab } from './model';
import { TABS } from './model';
import { RanksTab } from './ranks';
import { SpecTab } from './spec';

export function JobPage(): React.ReactElement {
  const { model, trans } = useJob();
  const job = useThisJob();
  const { problem } = model;
  const retry = (): void => void model.readAll();
  return (
    <div
      className="gw-jobpage-inner"
      data-testid="gw-jobpage"
      data-job={model.id}
      data-state={job ? job.state : problem ? 'failed' : 'loading'}
    >
      {job ? (
        <>
          <JobHead job={job} />
          <div className="gw-jobpage-top">
            <Offline />
            {job.state === 'waiting' && <Waiting />}
            {job.cause && <Diagnosis job={job} cause={job.cause} />}
          </div>
          <Tabs />
        </>
      ) : problem ? (
        <div className="gw-jobpage-top">
          <Trouble
            problem={
              problem.code === 'not_found'
                ? {
                    message: problem.message,
                    hint: trans.__('Its record is gone. Close this tab.')
                  }
                : problem
            }
            retry={retry}
          />
        </div>
      ) : (
        <div className="gw-jobpage-top">
          <Skeleton lines={8} />
        </div>
      )}
    </div>
  );
}

function Offline(): React.ReactElement | null {
  const { model, trans } = useJob();
  useTold(model.workbench.changed);
  return model.workbench.link === 'lost' ? (
    <div className="gw-disconnected" role="status" data-testid="gw-jobpage-lost">
      {trans.__('Disconnected: this is the last that was seen. The job goes on; reconnecting…')}
    </div>
  ) : null;
}

/** A wait is never a mystery: position, when, and what it waits for. */
function Waiting(): React.ReactElement | null {
  const { model, trans } = useJob();
  const job = useThisJob();
  const now = useClock();
  useTold(model.workbench.requests.changed);
  if (!job) {
    return null;
  }
  const request = model.workbench.requests.get(job.request_id ?? -1);
  return (
    <div className="gw-job-wait" role="status" data-testid="gw-jobpage-wait">
      <b>{trans.__('Waits for its slices.')}</b> {waitWords(trans, job, request, now)}
    </div>
  );
}

function Tabs(): React.ReactElement {
  const { model, trans } = useJob();
  const job = useThisJob();
  const { tab } = model.shown;
  const checkpoints = model.checkpoints?.length;
  const labels: Record<Tab, string> = {
    metrics: trans.__('Metrics'),
    logs: trans.__('Logs'),
    ranks: trans.__('Ranks and GPUs'),
    checkpoints: checkpoints ? trans.__('Checkpoints (%1)', checkpoints) : trans.__('Checkpoints'),
    spec: trans.__('Spec')
  };
  const move = (key: string): void => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[key] ?? 0;
    const next = TABS[(TABS.indexOf(tab) + way + TABS.length) % TABS.length];
    if (way && next) {
      model.show({ tab: next });
      document.getElementById(`gw-jobtab-${model.id}-${next}`)?.focus();
    }
  };
  const panel = `gw-jobpanel-${model.id}`;
  return (
    <>
      <div className="gw-dash-tabs" role="tablist" aria-label={trans.__('Details of the job')}>
        {TABS.map(one => (
          <button
            key={one}
            id={`gw-jobtab-${model.id}-${one}`}
            role="tab"
            aria-selected={tab === one}
            aria-controls={panel}
            tabIndex={tab === one ? 0 : -1}
            data-testid={`gw-job-tab-${one}`}
            onClick={() => model.show({ tab: one })}
            onKeyDown={event => move(event.key)}
          >
            {labels[one]}
          </button>
        ))}
      </div>
      <div
        id={panel}
        className={`gw-jobpage-tab gw-mod-${tab}`}
        role="tabpanel"
        aria-labelledby={`gw-jobtab-${model.id}-${tab}`}
        tabIndex={-1}
      >
        {job && <TabBody tab={tab} />}
      </div>
    </>
  );
}

function TabBody(props: { tab: Tab }): React.ReactElement | null {
  const job = useThisJob();
  if (!job) {
    return null;
  }
  switch (props.tab) {
    case 'metrics':
      return <CurvesTab job={job} />;
    case 'logs':
      return <LogsTab job={job} />;
    case 'ranks':
      return <RanksTab job={job} />;
    case 'checkpoints':
      return <CheckpointsTab job={job} over={jobIsOver(job)} />;
    case 'spec':
      return <SpecTab />;
  }
}
