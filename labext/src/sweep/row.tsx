/**
 * A sweep as one row of the panel's jobs: how far it is, its best run, and the way to its page.
 *
 * `data-testid`: gw-sweep-row (`data-sweep`, `data-state`): gw-sweep-open, gw-sweep-row-stop.
 */

import { stopIcon } from '@jupyterlab/ui-components';
import React from 'react';

import type { Sweep, SweepRun } from '../api/types';
import { pointWords } from '../model/grid';
import { bestWords, countWords, sweepIsOver } from '../model/sweeps';
import { usePanel } from '../panel/context';
import { Failure, IconButton, useAction } from '../surface/parts';
import { Squares } from '../surface/squares';
import { StateTag } from '../surface/state';

/** Runs as the squares of ranks are drawn. */
const LOOKS: Partial<Record<SweepRun['state'], string>> = {
  pending: 'waiting',
  refused: 'failed',
  lost: 'failed',
  starting: 'waiting',
  stopping: 'running',
  stopped: 'gone'
};

export function SweepRow(props: { sweep: Sweep }): React.ReactElement {
  const { sweep } = props;
  const { actions, trans } = usePanel();
  const stop = useAction(() => actions.stopSweep(sweep));
  const open = useAction(() => actions.openSweep(sweep));
  const over = sweepIsOver(sweep);
  const best = bestWords(sweep);
  return (
    <li
      className={`gw-item${over ? ' gw-mod-over' : ''}`}
      data-testid="gw-sweep-row"
      data-sweep={sweep.id}
      data-state={sweep.state}
    >
      <div className="gw-item-head">
        <button className="gw-link gw-item-name" data-testid="gw-sweep-open" onClick={open.go}>
          {trans.__('Sweep %1', sweep.name)}
        </button>
        <StateTag state={sweep.state} />
        {!over && (
          <IconButton
            icon={stopIcon}
            label={trans.__('Stop sweep %1', sweep.name)}
            testid="gw-sweep-row-stop"
            disabled={stop.busy}
            onClick={stop.go}
          />
        )}
      </div>
      <Squares
        all={sweep.runs.map(({ number, params, state }) => ({
          number: number + 1,
          look: LOOKS[state] ?? state,
          title: `${pointWords(params)}: ${state}`
        }))}
      />
      <p className="gw-item-what">{countWords(trans, sweep)}</p>
      {best && <p className="gw-item-what">{trans.__('best %1', best)}</p>}
      <Failure of={stop} />
    </li>
  );
}
