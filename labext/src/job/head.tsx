/** The top of a job's page: name, state, what it has and does, and the buttons. */

import React, { useState } from 'react';

import type { Job, RankView } from '../api/types';
import { elapsedWords, jobIsOver, notebookOf, progress, sizeWords } from '../model/jobs';
import { clockTime, gpuTime, percent, shortLeft } from '../model/words';
import { useTold } from '../surface/follow';
import { ActionButton, Trouble, useAction } from '../surface/parts';
import { StateTag } from '../surface/state';
import { useClock, useJob } from './context';

export function JobHead(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { trans } = useJob();
  return (
    <header className="gw-jobhead">
      <div className="gw-jobhead-row">
        <h2 title={job.command.join(' ')}>{job.name}</h2>
        <StateTag state={job.state} />
        <span className="gw-jobhead-message" role="status" data-testid="gw-jobpage-message">
          {job.cause || job.state === 'waiting' || job.message === job.state ? '' : job.message}
        </span>
        <Buttons job={job} />
      </div>
      <Facts job={job} />
      <RankStrip job={job} />
      {job.size_hint && (
        <p className="gw-hint" data-testid="gw-jobpage-hint">
          {trans.__('Next time: %1', job.size_hint)}
        </p>
      )}
    </header>
  );
}

function Facts(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { model, actions, trans } = useJob();
  const now = useClock();
  useTold(model.workbench.leases.changed);
  const lease = model.workbench.leases.get(job.lease_id ?? -1);
  const facts: [string, React.ReactNode][] = [[trans.__('on'), sizeWords(job)]];
  if (job.pool && (model.workbench.fleet?.pools.length ?? 0) > 1) {
    facts.push([trans.__('of the pool'), job.pool]);
  }
  if (job.started_at !== null) {
    const word = job.ended_at === null ? trans.__('runs for') : trans.__('ran for');
    facts.push([word, elapsedWords(job, now)]);
  }
  const made = progress(job, trans.__('step'));
  if (made) {
    facts.push([trans.__('at'), made]);
  }
  const pace = job.step_seconds;
  if (pace) {
    facts.push([trans.__('speed'), paceWords(pace, trans.__('steps/s'))]);
  }
  if (lease && !jobIsOver(job)) {
    facts.push([
      trans.__('slices until'),
      <button key="lease" className="gw-link" onClick={() => void actions.openPanel(lease.id)}>
        {trans.__(
          '%1 (%2 left)',
          clockTime(lease.ends_at, now),
          shortLeft(trans, lease.ends_at - now)
        )}
      </button>
    ]);
  }
  if (job.ended_at !== null) {
    facts.push([trans.__('ended'), clockTime(job.ended_at, now)]);
  }
  if (job.hours_held !== null) {
    facts.push([trans.__('held'), gpuTime(trans, job.hours_held * 3600)]);
  }
  if (job.hours_held && job.hours_used !== null) {
    facts.push([trans.__('used of it'), percent(job.hours_used / job.hours_held)]);
  }
  const { resumed_from: parent, sweep } = job;
  const { sweeps } = model.workbench;
  useTold(sweeps.changed);
  return (
    <dl className="gw-job-facts" data-testid="gw-jobpage-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
      {parent && (
        <div>
          <dt>{trans.__('resumed from')}</dt>
          <dd>
            <button
              className="gw-link"
              data-testid="gw-jobpage-parent"
              onClick={() => void actions.open(parent)}
            >
              {model.workbench.jobs.get(parent)?.name ?? parent}
            </button>
          </dd>
        </div>
      )}
      {sweep && (
        <div>
          <dt>{trans.__('of the sweep')}</dt>
          <dd>
            <button
              className="gw-link"
              data-testid="gw-jobpage-of-sweep"
              onClick={() => void actions.openSweep(sweep)}
            >
              {sweeps.get(sweep)?.name ?? sweep}
            </button>
          </dd>
        </div>
      )}
    </dl>
  );
}

/** "12.3 steps/s", or "2.1 s a step" where that reads better. */
function paceWords(seconds: number, word: string): string {
  return seconds < 1
    ? `${Number((1 / seconds).toPrecision(3))} ${word}`
    : `${Number(seconds.toPrecision(3))} s`;
}

function Buttons(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { model, actions, trans } = useJob();
  const stop = useAction(() => actions.stop(job));
  const resume = useAction(() => actions.resume(job, null));
  const again = useAction(() => actions.again(job));
  const compare = useAction(() => actions.compare(job));
  const sweep = useAction(() => actions.sweep(job));
  const board = useAction(() => actions.openBoard(job));
  const file = notebookOf(job);
  const cwd = model.spec?.cwd ?? null;
  const open = useAction(async () => {
    if (file !== null && cwd !== null) {
      await actions.openNotebook(`${cwd}/${file}`);
    }
  });
  const over = jobIsOver(job);
  const all = [stop, resume, again, compare, sweep, board, open];
  const failed = all.find(one => one.problem);
  return (
    <>
      <span className="gw-jobhead-buttons">
        {over && file !== null && cwd !== null && (
          <ActionButton action={open} testid="gw-jobpage-notebook" mood="primary">
            {trans.__('Open the notebook')}
          </ActionButton>
        )}
        {over && job.state !== 'succeeded' && model.newestWhole && (
          <ActionButton action={resume} testid="gw-jobpage-resume">
            {trans.__('Resume…')}
          </ActionButton>
        )}
        <ActionButton action={again} testid="gw-jobpage-again">
          {trans.__('Run again…')}
        </ActionButton>
        {model.spec?.script && file === null && (
          <ActionButton
            action={sweep}
            testid="gw-jobpage-sweep"
            title={trans.__('Run it with several values of its arguments')}
          >
            {trans.__('Sweep…')}
          </ActionButton>
        )}
        <ActionButton action={compare} testid="gw-jobpage-compare">
          {trans.__('Compare…')}
        </ActionButton>
        {job.started_at !== null && (
          <ActionButton action={board} testid="gw-jobpage-board">
            {trans.__('TensorBoard')}
          </ActionButton>
        )}
        {!over && (
          <ActionButton
            action={stop}
            testid="gw-jobpage-stop"
            mood="warn"
            off={job.state === 'stopping'}
          >
            {trans.__('Stop…')}
          </ActionButton>
        )}
      </span>
      {failed?.problem && (
        <div className="gw-jobhead-trouble">
          <Trouble problem={failed.problem} retry={failed.go} dismiss={failed.forget} />
        </div>
      )}
    </>
  );
}

/** Ranks drawn as squares; with more of them the table says it. */
const IN_STRIP = 64;

/** All ranks at a glance; each leads to its log. */
function RankStrip(props: { job: Job }): React.ReactElement | null {
  const { model, trans } = useJob();
  const { ranks } = props.job;
  const [shown, setShown] = useState(IN_STRIP);
  if (ranks.length < 2) {
    return null;
  }
  return (
    <div className="gw-ranks" role="group" aria-label={trans.__('Ranks')}>
      {ranks.slice(0, shown).map(one => {
        const title = trans.__('Logs of rank %1: %2', one.rank, rankWords(one));
        return (
          <button
            key={one.rank}
            className={`gw-rank gw-mod-${one.state}${one.stands ? ' gw-mod-stands' : ''}`}
            title={title}
            aria-label={title}
            onClick={() => model.show({ tab: 'logs', rank: one.rank })}
          >
            {one.rank}
          </button>
        );
      })}
      {ranks.length > shown && (
        <button className="gw-link" onClick={() => setShown(ranks.length)}>
          {trans.__('and %1 more', ranks.length - shown)}
        </button>
      )}
    </div>
  );
}

function rankWords(one: RankView): string {
  return [one.state, one.stands].filter(Boolean).join(', ');
}
