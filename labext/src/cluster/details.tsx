/** What a cluster has to do, how long it has been there, and how long it stays. */

import React from 'react';

import type { Cluster } from '../api/types';
import { endsAt } from '../model/clusters';
import { countdown, duration, memory } from '../model/words';
import { useNow, usePanel } from '../panel/context';
import { useFollowed } from '../surface/follow';
import { ActionButton, Failure, useAction } from '../surface/parts';

/** From here on a time left is amber. */
const SOON = 600;

export function Details(props: { cluster: Cluster }): React.ReactElement {
  const { cluster } = props;
  const { workbench, actions, trans } = usePanel();
  const now = useNow();
  const ends = useFollowed(workbench.leases.changed, () =>
    endsAt(cluster, id => workbench.leases.get(id))
  );
  const extend = useAction(() => actions.clusters.extend(cluster));
  const left = ends === null ? null : ends - now;
  const idle = cluster.idle_at === null ? null : cluster.idle_at - now;
  return (
    <>
      <div className="gw-facts">
        <dl>
          <Fact name={trans.__('tasks')} testid="gw-cluster-tasks">
            {cluster.tasks ?? '–'}
          </Fact>
          <Fact name={trans.__('results')} testid="gw-cluster-results">
            {sumOf(cluster, one => one.results) ?? '–'}
          </Fact>
          <Fact name={trans.__('spilled')} testid="gw-cluster-spill">
            {memory(sumOf(cluster, one => one.spilled_bytes))}
          </Fact>
          <Fact name={trans.__('age')} testid="gw-cluster-age">
            {age(now - cluster.created_at, trans)}
          </Fact>
          {left !== null && (
            <Fact name={trans.__('slices for')} testid="gw-cluster-left" soon={left < SOON}>
              {countdown(left)}
            </Fact>
          )}
          {idle !== null ? (
            <Fact
              name={trans.__('idle, ends in')}
              testid="gw-cluster-idle"
              soon={idle < Math.min(SOON, (cluster.idle_seconds ?? 0) / 3)}
            >
              {countdown(idle)}
            </Fact>
          ) : (
            cluster.idle_seconds !== null && (
              <Fact name={trans.__('may idle')} testid="gw-cluster-idle">
                {duration(trans, cluster.idle_seconds)}
              </Fact>
            )
          )}
        </dl>
        {left !== null && (
          <ActionButton
            action={extend}
            testid="gw-cluster-extend"
            title={trans.__('Keep its slices one hour longer')}
          >
            {trans.__('+1 h')}
          </ActionButton>
        )}
      </div>
      <Failure of={extend} />
    </>
  );
}

function Fact(props: {
  name: string;
  testid: string;
  soon?: boolean;
  children: React.ReactNode;
}): React.ReactElement {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd className={props.soon ? 'gw-left gw-mod-soon' : ''} data-testid={props.testid}>
        {props.children}
      </dd>
    </div>
  );
}

function age(seconds: number, trans: Parameters<typeof duration>[0]): string {
  return seconds < 60
    ? trans.__('%1 s', Math.max(0, Math.floor(seconds)))
    : duration(trans, seconds);
}

function sumOf(
  cluster: Cluster,
  read: (worker: Cluster['workers'][number]) => number | null
): number | null {
  const known = cluster.workers.map(read).filter((one): one is number => one !== null);
  return known.length ? known.reduce((a, b) => a + b, 0) : null;
}
