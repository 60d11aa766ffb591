/** "⚡ 43 % · 14.2/20 GB · 1:42" for the notebook in front; nothing when it has no slice. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import React from 'react';

import type { Lease } from '../api/types';
import { loadOf } from '../model/load';
import { leaseOf, requestOf } from '../model/paths';
import { gigabytes, percent, profileName, shortLeft } from '../model/words';
import type { Workbench } from '../model/workbench';
import { useFollowed } from '../surface/follow';

export interface IStatusOptions {
  workbench: Workbench;
  /** The notebook in front. */
  current: { readonly path: string | null; readonly changed: ISignal<unknown, unknown> };
  /** Show the panel, at that lease where there is one. */
  open: (lease: number | null) => void;
  trans: TranslationBundle;
}

export class StatusItem extends ReactWidget {
  constructor(private readonly options: IStatusOptions) {
    super();
    this.addClass('gw-status');
  }

  protected override render(): React.ReactElement {
    return <Status {...this.options} />;
  }
}

function Status(props: IStatusOptions): React.ReactElement | null {
  const { workbench, current, open, trans } = props;
  const path = useFollowed(current.changed, () => current.path);
  const leases = useFollowed(workbench.leases.changed, () => workbench.leases.items);
  const requests = useFollowed(workbench.requests.changed, () => workbench.requests.items);
  if (path === null) {
    return null;
  }
  const lease = leaseOf(path, leases);
  if (lease) {
    return <Held lease={lease} {...props} />;
  }
  const request = requestOf(path, requests);
  if (request) {
    return (
      <button
        className="gw-status-button"
        data-testid="gw-status"
        title={request.reason?.sentence}
        onClick={() => open(null)}
      >
        {trans.__(
          '◷ waits for %1, position %2',
          profileName(request.profile),
          request.position ?? 1
        )}
      </button>
    );
  }
  return null;
}

function Held(props: IStatusOptions & { lease: Lease }): React.ReactElement {
  const { lease, workbench, open, trans } = props;
  const { telemetry, clock } = workbench;
  useFollowed(telemetry.sampled, () => telemetry.time);
  const now = useFollowed(clock.ticked, () => clock.now);
  const load = loadOf(lease, telemetry);
  const used = load.memory === null ? '–' : gigabytes(load.memory);
  const left = lease.ends_at - now;
  const text = trans.__(
    '⚡ %1 · %2/%3 GB · %4',
    percent(load.activity),
    used,
    gigabytes(load.memoryTotal),
    shortLeft(trans, left)
  );
  return (
    <button
      className={`gw-status-button${left < 600 ? ' gw-mod-soon' : ''}`}
      data-testid="gw-status"
      data-lease={lease.id}
      title={trans.__(
        'GPU slice %1 of this notebook: activity, memory, time left',
        profileName(lease.profile)
      )}
      onClick={() => open(lease.id)}
    >
      {text}
    </button>
  );
}
