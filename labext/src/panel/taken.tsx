/** Under "Mine": notebooks whose slice was taken lately, why, and the way to another one. */

import React from 'react';

import type { Lease } from '../api/types';
import { takenLately } from '../model/holdings';
import { nameOf, samePath } from '../model/paths';
import { clockTime, leaseName, slicesOf, whyEnded } from '../model/words';
import { useFollowed } from '../surface/follow';
import { StateTag } from '../surface/state';
import { useNow, usePanel } from './context';

/** Rows; what was before is in the usage. */
const MOST = 3;

export function TakenList(): React.ReactElement | null {
  const { workbench } = usePanel();
  const now = useNow();
  const past = useFollowed(workbench.past.changed, () => workbench.past.items);
  const held = useFollowed(workbench.leases.changed, () => workbench.leases.items);
  const taken = takenLately(past, held, now).slice(0, MOST);
  return taken.length === 0 ? null : (
    <ul className="gw-list">
      {taken.map(lease => (
        <TakenRow key={lease.id} lease={lease} now={now} />
      ))}
    </ul>
  );
}

function TakenRow(props: { lease: Lease; now: number }): React.ReactElement {
  const { lease, now } = props;
  const { actions, form, cards, current, trans } = usePanel();
  const path = nameOf(lease);
  const again = (): void => {
    const front = current.path !== null && samePath(current.path, path) ? current.path : null;
    const notebook = front ?? (/^[^/].*\.ipynb$/.test(path) ? path : null);
    form.chooseOffer(lease.profile, lease.pool, cards.cards ?? []);
    form.fill({
      purpose: 'kernel',
      count: lease.slices.length,
      target: notebook === null ? { kind: 'new' } : { kind: 'path', path: notebook }
    });
  };
  return (
    <li className="gw-item gw-mod-over" data-testid="gw-taken" data-lease={lease.id}>
      <div className="gw-item-head">
        <button
          className="gw-link gw-item-name"
          title={path}
          onClick={() => void actions.reveal(lease)}
        >
          {leaseName(lease, trans)}
        </button>
        <span className="gw-item-what">{slicesOf(lease)}</span>
        <StateTag state="ended" />
      </div>
      <p className="gw-reason">
        {trans.__('%1: %2', clockTime(lease.ended_at ?? now, now), whyEnded(trans, lease))}{' '}
        <button className="gw-link" data-testid="gw-taken-again" onClick={again}>
          {trans.__('Request again')}
        </button>
      </p>
    </li>
  );
}
