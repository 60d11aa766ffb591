/** One cluster: what it is, what it does or waits for, and what can be done with it. */

import {
  caretDownIcon,
  caretRightIcon,
  codeIcon,
  editIcon,
  refreshIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import React, { useId, useState } from 'react';

import type { Cluster } from '../api/types';
import { dashboardIcon } from '../icons';
import { clusterIsOver, progressOf, readyWorkers } from '../model/clusters';
import { clockTime, profileName } from '../model/words';
import { useNow, usePanel } from '../panel/context';
import { IconButton, Meter, Trouble, useAction } from '../surface/parts';
import { StateTag } from '../surface/state';
import { Details } from './details';
import { whenDragged } from './drag';
import { ScaleSlider } from './slider';
import { ClusterLoad, Workers } from './workers';

export function ClusterRow(props: { cluster: Cluster; open: boolean }): React.ReactElement {
  const { cluster } = props;
  const { trans } = usePanel();
  const [chosen, setOpen] = useState<boolean | null>(null);
  const body = useId();
  const over = clusterIsOver(cluster);
  const open = !over && (chosen ?? props.open);
  const Caret = open ? caretDownIcon : caretRightIcon;
  const what = trans.__(
    '%1 of %2 × %3',
    readyWorkers(cluster),
    cluster.workers_wanted,
    profileName(cluster.per_worker)
  );
  return (
    <li
      className={`gw-item gw-cluster${over ? ' gw-mod-over' : ''}`}
      data-testid="gw-cluster"
      data-cluster={cluster.id}
      data-state={cluster.state}
    >
      <div className="gw-item-head">
        {over ? (
          <span className="gw-item-name" title={cluster.id}>
            {cluster.name}
          </span>
        ) : (
          <button
            className="gw-fold-item gw-item-name"
            title={cluster.name}
            aria-expanded={open}
            aria-controls={body}
            data-testid="gw-cluster-fold"
            onClick={() => setOpen(!open)}
          >
            <Caret.react tag="span" className="gw-caret" />
            {cluster.name}
          </button>
        )}
        {!over && (
          <span
            className="gw-item-what"
            title={cluster.pool === null ? '' : trans.__('pool %1', cluster.pool)}
            data-testid="gw-cluster-workers"
          >
            {what}
          </span>
        )}
        <StateTag state={cluster.state} />
      </div>
      <Said cluster={cluster} />
      <NextTime cluster={cluster} />
      {!over && (
        <>
          <ClusterLoad cluster={cluster} />
          <Actions cluster={cluster} />
        </>
      )}
      <div id={body} hidden={!open}>
        {open && (
          <>
            <Details cluster={cluster} />
            <ScaleSlider key={cluster.id} cluster={cluster} />
            <Workers cluster={cluster} />
          </>
        )}
      </div>
    </li>
  );
}

/** What it waits for, what it lost, why it ended. */
function Said(props: { cluster: Cluster }): React.ReactElement {
  const { cluster } = props;
  const { trans } = usePanel();
  const now = useNow();
  const progress = progressOf(cluster);
  const said = cluster.message === cluster.state ? '' : cluster.message;
  const over = clusterIsOver(cluster);
  return (
    <>
      {progress && progress.of > 0 && (
        <Meter
          label={trans.__('%1 of %2 workers are up', progress.ready, progress.of)}
          share={progress.ready / progress.of}
          extra={Math.max(0, progress.leased - progress.ready) / progress.of}
        />
      )}
      {said && (
        <p className="gw-reason" role="status" data-testid="gw-cluster-message">
          {over && cluster.ended_at !== null && `${clockTime(cluster.ended_at, now)}: `}
          {said}
        </p>
      )}
      {cluster.notice && !over && (
        <p className="gw-notice" role="status" data-testid="gw-cluster-notice">
          {cluster.notice_at !== null && `${clockTime(cluster.notice_at, now)}: `}
          {cluster.notice}
        </p>
      )}
    </>
  );
}

/** Which slice would have done for its workers, and a way to ask for that. */
function NextTime(props: { cluster: Cluster }): React.ReactElement | null {
  const { cluster } = props;
  const { form, cards, trans } = usePanel();
  if (!cluster.size_hint) {
    return null;
  }
  const again = (profile: string): void => {
    form.chooseOffer(profile, cluster.pool ?? '', cards.cards ?? []);
    form.fill({
      purpose: 'cluster',
      name: cluster.name,
      count: cluster.adapt?.minimum ?? Math.max(1, cluster.workers_wanted),
      most: cluster.adapt?.maximum ?? null
    });
  };
  return (
    <p className="gw-reason" data-testid="gw-cluster-hint">
      {trans.__('Next time: %1.', cluster.size_hint)}{' '}
      {cluster.size_profile !== null && (
        <button
          className="gw-link"
          data-testid="gw-cluster-again"
          onClick={() => again(cluster.size_profile as string)}
        >
          {trans.__('Set it up so')}
        </button>
      )}
    </p>
  );
}

function Actions(props: { cluster: Cluster }): React.ReactElement {
  const { cluster } = props;
  const { actions, trans } = usePanel();
  const { clusters } = actions;
  const insert = useAction(() => clusters.insert(cluster));
  const rename = useAction(() => clusters.rename(cluster));
  const restart = useAction(() => clusters.restart(cluster));
  const stop = useAction(() => clusters.stop(cluster));
  const runs = cluster.state === 'running';
  return (
    <>
      <div className="gw-actions" role="group" aria-label={trans.__('Actions of %1', cluster.name)}>
        <span
          className="gw-grip"
          onPointerDown={press => {
            if (runs && press.button === 0) {
              whenDragged(press.nativeEvent, at => void clusters.drag(cluster, at));
            }
          }}
        >
          <IconButton
            icon={codeIcon}
            label={trans.__(
              'Insert client code of %1 into the notebook (or drag it there)',
              cluster.name
            )}
            testid="gw-cluster-insert"
            disabled={!runs}
            onClick={insert.go}
          />
        </span>
        <IconButton
          icon={dashboardIcon}
          label={trans.__("Open Dask's pages of %1", cluster.name)}
          testid="gw-cluster-panes"
          disabled={cluster.dashboard_path === null}
          onClick={event => clusters.offerPanes(cluster, event.currentTarget)}
        />
        <span className="gw-actions-space" />
        <IconButton
          icon={editIcon}
          label={trans.__('Rename %1', cluster.name)}
          testid="gw-cluster-rename"
          disabled={rename.busy || cluster.state === 'stopping'}
          onClick={rename.go}
        />
        <IconButton
          icon={refreshIcon}
          label={trans.__('Restart the workers of %1', cluster.name)}
          testid="gw-cluster-restart"
          disabled={restart.busy || !runs}
          onClick={restart.go}
        />
        <IconButton
          icon={stopIcon}
          label={trans.__('Stop cluster %1', cluster.name)}
          testid="gw-cluster-stop"
          disabled={stop.busy || cluster.state === 'stopping'}
          onClick={stop.go}
        />
      </div>
      {[insert, rename, restart, stop].map(
        (action, i) =>
          action.problem && (
            <Trouble key={i} problem={action.problem} retry={action.go} dismiss={action.forget} />
          )
      )}
    </>
  );
}
