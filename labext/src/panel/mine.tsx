/** "Mine": what I hold, what it does, how long it is mine, and what I can do next. */

import { closeIcon } from '@jupyterlab/ui-components';
import React, { useEffect, useMemo, useRef, useState } from 'react';

import type { Lease } from '../api/types';
import { Sparkline } from '../chart/sparkline';
import type { IHolding } from '../model/holdings';
import { holdingsOf } from '../model/holdings';
import { loadOf } from '../model/load';
import { countdown, gigabytes, leaseName, memoryOf, percent, slicesOf } from '../model/words';
import { useFollowed } from '../surface/follow';
import { ActionButton, Failure, IconButton, Section, useAction } from '../surface/parts';
import { useNow, usePanel } from './context';
import { TakenList } from './taken';

/** Rows drawn at once; more on demand. */
const FIRST = 20;
/** From here on the time left is amber. */
const SOON = 600;

export function MineSection(): React.ReactElement {
  const { workbench, trans } = usePanel();
  const leases = useFollowed(workbench.leases.changed, () => workbench.leases.items);
  const held = useMemo(() => holdingsOf(leases), [leases]);
  const [all, setAll] = useState(false);
  const shown = all ? held : held.slice(0, FIRST);
  return (
    <Section title={trans.__('Mine')} name="mine" aside={held.length || undefined}>
      {leases.length === 0 && (
        <p className="gw-empty" data-testid="gw-mine-empty">
          {trans.__('You hold nothing. Request a slice above, or in a cell: gw.request("20GB").')}
        </p>
      )}
      <ul className="gw-list">
        {shown.map(holding => (
          <LeaseRow key={holding.cluster ?? holding.lease.id} holding={holding} />
        ))}
      </ul>
      {shown.length < held.length && (
        <button className="gw-link" onClick={() => setAll(true)}>
          {trans.__('Show all %1', held.length)}
        </button>
      )}
      <TakenList />
    </Section>
  );
}

function LeaseRow(props: { holding: IHolding }): React.ReactElement {
  const { lease, ids } = props.holding;
  const { workbench, actions, focus, trans } = usePanel();
  const focused = useFollowed(
    focus.changed,
    () => focus.lease !== null && ids.includes(focus.lease)
  );
  // A cluster's slices go together: it is stopped, with the question that belongs to it.
  const cluster = workbench.clusters.get(props.holding.cluster ?? '');
  const extend = useAction(async () => {
    for (const id of ids) {
      await workbench.extend(id, 3600);
    }
  });
  const release = useAction(() =>
    cluster ? actions.clusters.stop(cluster) : actions.release(lease)
  );
  const start = useAction(() => actions.startNotebook(lease));
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (focused) {
      row.current?.scrollIntoView({ block: 'nearest' });
    }
  }, [focused]);
  const name = leaseName(lease, trans);
  const unclaimed = lease.purpose === 'kernel' && !lease.holder;
  return (
    <li
      ref={row}
      className={`gw-item${focused ? ' gw-mod-focused' : ''}`}
      data-testid="gw-lease"
      data-lease={lease.id}
      data-state={lease.state}
    >
      <div className="gw-item-head">
        <button
          className="gw-link gw-item-name"
          title={lease.holder?.name ?? lease.name}
          onClick={() => void actions.reveal(lease)}
        >
          {name}
        </button>
        <span className="gw-item-what">{slicesOf(lease)}</span>
        <TimeLeft lease={lease} />
      </div>
      <div className="gw-load">
        <Load lease={lease} />
        <ActionButton
          action={extend}
          testid="gw-lease-extend"
          title={trans.__('Keep it one hour longer')}
        >
          {trans.__('+1 h')}
        </ActionButton>
        <IconButton
          icon={closeIcon}
          label={cluster ? trans.__('Stop %1', name) : trans.__('Release %1', name)}
          testid="gw-lease-release"
          disabled={release.busy}
          onClick={release.go}
        />
      </div>
      {unclaimed && (
        <div className="gw-row">
          <ActionButton action={start} testid="gw-lease-start" mood="primary">
            {trans.__('Start notebook')}
          </ActionButton>
          <span className="gw-hint">{trans.__('No kernel uses it yet.')}</span>
        </div>
      )}
      <Failure of={start} />
      <Failure of={extend} />
      <Failure of={release} />
    </li>
  );
}

function TimeLeft(props: { lease: Lease }): React.ReactElement {
  const { trans } = usePanel();
  const left = props.lease.ends_at - useNow();
  return (
    <span
      className={`gw-left${left < SOON ? ' gw-mod-soon' : ''}`}
      role="timer"
      title={trans.__('Time left')}
      data-testid="gw-lease-left"
    >
      {countdown(left)}
    </span>
  );
}

function Load(props: { lease: Lease }): React.ReactElement {
  const { lease } = props;
  const { workbench, themeChanged, trans } = usePanel();
  const { telemetry } = workbench;
  // A new sample is a new time: the figures are read again when it changes.
  useFollowed(telemetry.sampled, () => telemetry.time);
  const load = loadOf(lease, telemetry);
  const used = memoryOf(trans, load.memory, load.memoryTotal);
  const usedShort = load.memory === null ? '–' : gigabytes(load.memory);
  return (
    <>
      <Sparkline
        columns={load.columns}
        total={load.memoryTotal}
        sampled={telemetry.sampled}
        themeChanged={themeChanged}
        label={trans.__('Activity %1, memory %2, last two minutes', percent(load.activity), used)}
      />
      <span className="gw-load-figures" data-testid="gw-lease-load">
        {trans.__('%1 · %2/%3 GB', percent(load.activity), usedShort, gigabytes(load.memoryTotal))}
      </span>
    </>
  );
}
