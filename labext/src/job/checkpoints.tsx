/** The tab "Checkpoints": what a run left to go on from, and the way to do it. */

import React from 'react';

import type { Checkpoint, Job } from '../api/types';
import { clockTime } from '../model/words';
import { Heads } from '../surface/heads';
import { ActionButton, Failure, Skeleton, useAction } from '../surface/parts';
import { useClock, useJob } from './context';

export function CheckpointsTab(props: { job: Job; over: boolean }): React.ReactElement {
  const { job, over } = props;
  const { model, trans } = useJob();
  const found = model.checkpoints;
  if (found === null) {
    return <Skeleton lines={4} />;
  }
  if (found.length === 0) {
    return (
      <p className="gw-empty" data-testid="gw-checkpoints-empty">
        {trans.__('No checkpoints were found.')}{' '}
        {trans.__(
          'Whatever torch.save, torch.distributed.checkpoint, Lightning, Accelerate or the Hugging Face Trainer leave in the folder named by GPU_WORKBENCH_CHECKPOINTS, or in the one given with the job, is listed here.'
        )}
      </p>
    );
  }
  return (
    <>
      {!over && (
        <p className="gw-hint">{trans.__('The job runs: it can be resumed once it is over.')}</p>
      )}
      <div className="gw-tablebox" tabIndex={0} role="region" aria-label={trans.__('Checkpoints')}>
        <table className="gw-table">
          <Heads
            heads={[
              trans.__('Step'),
              trans.__('State'),
              trans.__('Kind'),
              trans.__('Size'),
              trans.__('Written'),
              trans.__('Where'),
              ''
            ]}
          />
          <tbody>
            {found.map(one => (
              <Row key={one.path} job={job} one={one} over={over} />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Row(props: { job: Job; one: Checkpoint; over: boolean }): React.ReactElement {
  const { job, one, over } = props;
  const { model, actions, trans } = useJob();
  const now = useClock();
  const resume = useAction(() => actions.resume(job, one));
  const last = one === model.newestWhole;
  return (
    <tr data-testid="gw-checkpoint" data-step={one.step} data-whole={one.whole}>
      <th scope="row">{one.step ?? '–'}</th>
      <td>
        <span className={`gw-tag gw-mod-${one.whole ? (last ? 'good' : 'calm') : 'bad'}`}>
          {one.whole
            ? last
              ? trans.__('last whole one')
              : trans.__('whole')
            : trans.__('cut off')}
        </span>
      </td>
      <td>{one.kind}</td>
      <td>{sizeOf(one.bytes)}</td>
      <td>{clockTime(one.at, now)}</td>
      <td className="gw-mod-words" title={one.path}>
        {one.path.split('/').slice(-2).join('/')}
      </td>
      <td>
        {over && one.whole && (
          <ActionButton action={resume} testid="gw-checkpoint-resume">
            {trans.__('Resume…')}
          </ActionButton>
        )}
        <Failure of={resume} />
      </td>
    </tr>
  );
}

/** In the decimal units of files. */
function sizeOf(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const place = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const amount = bytes / 1000 ** place;
  return `${amount < 10 && place ? amount.toFixed(1) : Math.round(amount)} ${units[place]}`;
}
