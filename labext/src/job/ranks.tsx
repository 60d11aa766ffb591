/** The tab "Ranks and GPUs": each rank's slice, state, step and speed, and what holds it up. */

import React, { useState } from 'react';

import type { Gpu, Job, RankView } from '../api/types';
import { figure, jobIsOver } from '../model/jobs';
import { percent, profileName } from '../model/words';
import { useTold } from '../surface/follow';
import { Heads } from '../surface/heads';
import { useClock, useJob } from './context';

const FIRST = 64;
/** From this factor on a rank is worth a word: below it is the machine's noise. */
const SLOW = 1.3;

/** Those that end training runs. */
const SIGNALS: Readonly<Record<number, string>> = {
  2: 'SIGINT',
  6: 'SIGABRT',
  7: 'SIGBUS',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  15: 'SIGTERM'
};

export function RanksTab(props: { job: Job }): React.ReactElement {
  const { job } = props;
  const { model, trans } = useJob();
  const [all, setAll] = useState(false);
  useTold(model.workbench.leases.changed);
  const now = useClock();
  const mine = model.workbench.status?.user === job.user;
  const places = placesOf(job, model.workbench.fleet?.gpus ?? []);
  const shown = all ? job.ranks : job.ranks.slice(0, FIRST);
  const heads = [
    trans.__('Rank'),
    trans.__('State'),
    trans.__('Slice'),
    trans.__('Use now'),
    trans.__('Step'),
    trans.__('Last step'),
    trans.__('Step time'),
    ...(mine ? [trans.__('Process')] : []),
    trans.__('What it does')
  ];
  return (
    <>
      <div className="gw-tablebox" tabIndex={0} role="region" aria-label={trans.__('Ranks')}>
        <table className="gw-table gw-ranks-table" data-testid="gw-ranks-table">
          <Heads heads={heads} />
          <tbody>
            {shown.map(rank => (
              <Row
                key={rank.rank}
                job={job}
                rank={rank}
                place={rank.slice_id === null ? '–' : (places.get(rank.slice_id) ?? '–')}
                mine={mine}
                now={now}
              />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < job.ranks.length && (
        <button className="gw-link" onClick={() => setAll(true)}>
          {trans.__('Show all %1', job.ranks.length)}
        </button>
      )}
    </>
  );
}

function Row(props: {
  job: Job;
  rank: RankView;
  place: string;
  mine: boolean;
  now: number;
}): React.ReactElement {
  const { job, rank, place, mine, now } = props;
  const { model, trans } = useJob();
  const reading =
    rank.slice_id !== null && !jobIsOver(job)
      ? model.workbench.telemetry.latest(rank.slice_id)
      : null;
  const ago = rank.beat_at === null || jobIsOver(job) ? null : Math.max(0, now - rank.beat_at);
  const { slower, step_seconds: pace } = rank;
  const slow = slower !== null && slower >= SLOW ? slower : null;
  const does = [
    rank.stands ?? '',
    slow === null ? '' : trans.__('%1× slower than the others', slow.toFixed(1)),
    rank.exit_code === null || rank.exit_code === 0 ? '' : exitWords(trans, rank.exit_code)
  ].filter(Boolean);
  return (
    <tr
      data-testid="gw-rank-row"
      data-rank={rank.rank}
      data-state={rank.state}
      className={job.cause?.rank === rank.rank ? 'gw-mod-cause' : ''}
    >
      <th scope="row">
        <button
          className="gw-link"
          title={trans.__('Logs of rank %1', rank.rank)}
          onClick={() => model.show({ tab: 'logs', rank: rank.rank })}
        >
          {rank.rank}
        </button>
      </th>
      <td>{rank.state}</td>
      <td>{place}</td>
      <td>{percent(reading?.activity ?? null)}</td>
      <td>{rank.step ?? '–'}</td>
      <td>{ago === null ? '–' : trans.__('%1 s ago', Math.round(ago))}</td>
      <td>{pace === null ? '–' : stepTime(pace)}</td>
      {mine && <td>{rank.pid ?? '–'}</td>}
      <td className="gw-mod-words">{does.join('; ') || '–'}</td>
    </tr>
  );
}

type Trans = ReturnType<typeof useJob>['trans'];

/** A negative code is the signal that ended it. */
function exitWords(trans: Trans, code: number): string {
  const signal = SIGNALS[-code] ?? String(-code);
  return code < 0 ? trans.__('ended by %1', signal) : trans.__('exit code %1', code);
}

function stepTime(seconds: number): string {
  return seconds < 1 ? `${figure(seconds * 1000)} ms` : `${figure(seconds)} s`;
}

/** "gpu0 · 1/4 GPU" of each slice of the job. */
function placesOf(job: Job, gpus: readonly Gpu[]): Map<string, string> {
  const wanted = new Set(job.ranks.map(rank => rank.slice_id));
  const found = new Map<string, string>();
  for (const gpu of gpus) {
    for (const part of gpu.segments) {
      if (part.slice_id !== null && wanted.has(part.slice_id)) {
        found.set(part.slice_id, `${gpu.name} · ${part.label}`);
      }
    }
  }
  for (const { slice_id } of job.ranks) {
    if (slice_id !== null && !found.has(slice_id)) {
      found.set(slice_id, profileName(job.per_rank)); // Given back: where it was is not known any more.
    }
  }
  return found;
}
