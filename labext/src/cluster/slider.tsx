/**
 * How many workers: a slider and its number. What is chosen is asked for once it has been still for
 * a moment, or at Enter; Escape takes it back. Says what it will do, what waits, and why.
 */

import React, { useEffect, useId, useMemo } from 'react';

import type { Card, Cluster } from '../api/types';
import { Scaling, mostWorkers } from '../model/scaling';
import { profileName, shortExpected } from '../model/words';
import { useNow, usePanel } from '../panel/context';
import { useFollowed } from '../surface/follow';
import { Trouble } from '../surface/parts';

export function ScaleSlider(props: { cluster: Cluster }): React.ReactElement {
  const { cluster } = props;
  const { workbench, trans } = usePanel();
  const id = useId();
  const scaling = useMemo(() => new Scaling(workbench, cluster.id), [workbench, cluster.id]);
  useEffect(() => () => scaling.takeBack(), [scaling]);
  const target = useFollowed(scaling.changed, () => scaling.target);
  const busy = useFollowed(scaling.changed, () => scaling.busy);
  const problem = useFollowed(scaling.changed, () => scaling.problem);
  const card = useFollowed(scaling.changed, () => scaling.card);
  const most = useFollowed(workbench.changed, () => mostWorkers(workbench, cluster));
  const value = target ?? cluster.workers_wanted;
  const off = busy || cluster.state === 'stopping';
  const field = {
    min: 0,
    value,
    disabled: off,
    'aria-describedby': `${id}-said`,
    onChange: (event: React.ChangeEvent<HTMLInputElement>): void => {
      const workers = event.target.valueAsNumber;
      if (Number.isInteger(workers) && workers >= 0) {
        scaling.point(workers);
      }
    },
    onKeyDown: (event: React.KeyboardEvent): void => {
      if (event.key === 'Enter') {
        void scaling.ask();
      } else if (event.key === 'Escape') {
        scaling.takeBack();
      }
    }
  };
  return (
    <div className="gw-scale" data-testid="gw-scale" data-target={target ?? ''}>
      <label htmlFor={`${id}-range`}>{trans.__('workers')}</label>
      <input
        {...field}
        id={`${id}-range`}
        type="range"
        max={Math.max(most, value)}
        step={1}
        aria-valuetext={trans._n('%1 worker', '%1 workers', value)}
        data-testid="gw-cluster-slider"
      />
      <input
        {...field}
        className="gw-input gw-mod-count"
        type="number"
        max={512}
        aria-label={trans.__('Workers of %1, as a number', cluster.name)}
        data-testid="gw-cluster-count"
      />
      <p
        id={`${id}-said`}
        className="gw-hint"
        role="status"
        aria-live="polite"
        data-testid="gw-scale-said"
      >
        <Said cluster={cluster} target={target} busy={busy} card={card} />
      </p>
      {problem && <Trouble problem={problem} dismiss={() => scaling.forget()} />}
    </div>
  );
}

function Said(props: {
  cluster: Cluster;
  target: number | null;
  busy: boolean;
  card: Card | null;
}): React.ReactElement {
  const { cluster, target, busy, card } = props;
  const { trans } = usePanel();
  const now = useNow();
  const profile = profileName(cluster.per_worker);
  if (target === null) {
    const { adapt } = cluster;
    return (
      <>{adapt ? trans.__('Adapts by itself, %1 to %2.', adapt.minimum, adapt.maximum) : ''}</>
    );
  }
  const change = target - cluster.workers_wanted;
  const fixed = cluster.adapt ? trans.__('It adapts no more.') : '';
  if (change < 0) {
    const fewer = trans._n(
      '%1 worker hands over its results and gives its slice back.',
      '%1 workers hand over their results and give their slices back.',
      -change
    );
    const words = [fewer, fixed, busy ? '' : trans.__('Esc: leave it.')];
    return <>{words.filter(Boolean).join(' ')}</>;
  }
  const more = trans._n('Asks for %1 more slice', 'Asks for %1 more slices', change);
  return (
    <>
      {`${more} (${profile}): `}
      <b data-testid="gw-scale-when" data-when={card?.when ?? ''}>
        {card ? whenOf(card, now, trans) : '…'}
      </b>
      {card && card.when !== 'now' && card.reason ? ` ${card.reason}` : ''}
      {fixed && ` ${fixed}`}
    </>
  );
}

function whenOf(card: Card, now: number, trans: ReturnType<typeof usePanel>['trans']): string {
  switch (card.when) {
    case 'now':
      return trans.__('now.');
    case 'queued':
      return card.expected_at === null
        ? trans.__('they wait in the queue.')
        : trans.__('the last %1.', shortExpected(trans, card.expected_at, now));
    case 'over_limit':
      return trans.__('over your limit.');
    case 'never':
      return trans.__('more than there are.');
  }
}
