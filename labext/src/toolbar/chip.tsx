/** A notebook's slice in its toolbar: "2g.20gb · 1:42". Without one, the way to get one. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import React from 'react';

import { gpuIcon } from '../icons';
import { leaseOf, requestOf } from '../model/paths';
import { profileName, shortLeft } from '../model/words';
import type { Workbench } from '../model/workbench';
import { useFollowed } from '../surface/follow';

export interface IChipOptions {
  workbench: Workbench;
  /** Of the notebook that the toolbar belongs to. */
  notebook: { readonly path: string; readonly pathChanged: ISignal<unknown, unknown> };
  /** Show the panel at that lease. */
  open: (lease: number | null) => void;
  /** Show the request form, made out for this notebook. */
  ask: (path: string) => void;
  trans: TranslationBundle;
}

export class SliceChip extends ReactWidget {
  constructor(private readonly options: IChipOptions) {
    super();
    this.addClass('gw-chip-item');
  }

  protected override render(): React.ReactElement {
    return <Chip {...this.options} />;
  }
}

function Chip(props: IChipOptions): React.ReactElement {
  const { workbench, notebook, open, ask, trans } = props;
  const path = useFollowed(notebook.pathChanged, () => notebook.path);
  const leases = useFollowed(workbench.leases.changed, () => workbench.leases.items);
  const requests = useFollowed(workbench.requests.changed, () => workbench.requests.items);
  const now = useFollowed(workbench.clock.ticked, () => workbench.clock.now);
  const lease = leaseOf(path, leases);
  const request = lease ? null : requestOf(path, requests);
  const left = lease ? lease.ends_at - now : Infinity;
  const words = lease
    ? `${profileName(lease.profile)} · ${shortLeft(trans, left)}`
    : request
      ? trans.__('waits for %1', profileName(request.profile))
      : null;
  const title = lease
    ? trans.__('The GPU slice of this notebook and the time left. Click to extend or release it.')
    : (request?.reason?.sentence ?? trans.__('Run this notebook on a GPU slice'));
  return (
    <button
      className={`gw-chip${words ? ' gw-mod-held' : ''}${left < 600 ? ' gw-mod-soon' : ''}`}
      title={title}
      aria-label={words ? `${words}. ${title}` : title}
      data-testid="gw-chip"
      onClick={() => (lease || request ? open(lease?.id ?? null) : ask(path))}
    >
      <gpuIcon.react tag="span" className="gw-icon" />
      {words && <span>{words}</span>}
    </button>
  );
}
