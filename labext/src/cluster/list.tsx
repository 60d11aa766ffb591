/** Clusters as rows: state, workers, what it does now, and what can be done with it. */

import { codeIcon, stopIcon } from '@jupyterlab/ui-components';
import React, { useState } from 'react';

import type { Cluster } from '../api/types';
import { profileName } from '../model/words';
import { useFollowed, usePanel } from '../panel/context';
import { IconButton, Section, Trouble, useAction } from '../panel/parts';
import { StateTag } from '../panel/state';

const FIRST = 5;

export function clusterIsOver(cluster: Cluster): boolean {
  return cluster.state === 'ended' || cluster.state === 'failed';
}

export function ClusterSection(): React.ReactElement {
  const { workbench, trans } = usePanel();
  const clusters = useFollowed(workbench.clusters.changed, () => workbench.clusters.items);
  const [all, setAll] = useState(false);
  const alive = clusters.filter(one => !clusterIsOver(one));
  const over = clusters.filter(clusterIsOver);
  const shown = all ? [...alive, ...over] : [...alive, ...over.slice(0, 2)].slice(0, FIRST);
  return (
    <Section title={trans.__('Clusters')} name="clusters" aside={alive.length || undefined}>
      {clusters.length === 0 && (
        <p className="gw-empty">
          {trans.__('No clusters. Choose "Cluster" above, or in a cell: gw.cluster(workers=2).')}
        </p>
      )}
      <ul className="gw-list">
        {shown.map(cluster => (
          <ClusterRow key={cluster.id} cluster={cluster} />
        ))}
      </ul>
      {shown.length < clusters.length && (
        <button className="gw-link" onClick={() => setAll(true)}>
          {trans.__('Show all %1', clusters.length)}
        </button>
      )}
    </Section>
  );
}

function ClusterRow(props: { cluster: Cluster }): React.ReactElement {
  const { cluster } = props;
  const { actions, trans } = usePanel();
  const stop = useAction(() => actions.stopCluster(cluster));
  const scale = useAction(() => actions.scaleCluster(cluster));
  const profile = profileName(cluster.per_worker);
  const insert = useAction(() => actions.insertClient(cluster));
  const ready = cluster.workers.filter(worker => worker.state === 'running').length;
  const over = clusterIsOver(cluster);
  return (
    <li
      className={`gw-item${over ? ' gw-mod-over' : ''}`}
      data-testid="gw-cluster"
      data-cluster={cluster.id}
      data-state={cluster.state}
    >
      <div className="gw-item-head">
        <span className="gw-item-name" title={cluster.id}>
          {cluster.name}
        </span>
        {over ? (
          <span className="gw-item-what">{`${cluster.workers_wanted} × ${profile}`}</span>
        ) : (
          <button
            className="gw-link gw-item-what"
            title={trans.__('Scale %1', cluster.name)}
            data-testid="gw-cluster-scale"
            onClick={scale.go}
          >
            {trans.__('%1 of %2 × %3', ready, cluster.workers_wanted, profile)}
          </button>
        )}
        <StateTag state={cluster.state} />
        {!over && (
          <>
            <IconButton
              icon={codeIcon}
              label={trans.__('Insert client code of %1 into the notebook', cluster.name)}
              testid="gw-cluster-insert"
              disabled={cluster.state !== 'running'}
              onClick={insert.go}
            />
            <IconButton
              icon={stopIcon}
              label={trans.__('Stop cluster %1', cluster.name)}
              testid="gw-cluster-stop"
              disabled={stop.busy || cluster.state === 'stopping'}
              onClick={stop.go}
            />
          </>
        )}
      </div>
      {cluster.message && cluster.state !== 'ended' && cluster.message !== cluster.state && (
        <p className="gw-reason">{cluster.message}</p>
      )}
      {[stop, insert, scale].map(
        (action, i) =>
          action.problem && (
            <Trouble key={i} problem={action.problem} retry={action.go} dismiss={action.forget} />
          )
      )}
    </li>
  );
}
