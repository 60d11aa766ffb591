/**
 * The left panel "GPUs", top to bottom: what there is, what I ask for, what I hold and wait for.
 *
 * Names for tests and other extensions, stable from now on. `data-testid`:
 *
 *   gw-panel            the panel; `data-phase` loading | ready | failed, `data-link` open | lost | …
 *   gw-open-dashboard   the way to the dashboard in the main area (its names: `dashboard/page.tsx`)
 *   gw-simulated        the line "simulated GPUs", only where they are
 *   gw-disconnected     the strip while the connection is being got back
 *   gw-fleet            section; gw-free ("1.5 of 2 GPU free"); gw-gpu (`data-gpu`, `data-health`),
 *                       gw-gpu-open, gw-gpu-figures; gw-segment (`data-state` mine | others | free, `data-profile`)
 *   gw-request          section; gw-form-purpose-kernel | -cluster | -job, gw-card (`data-profile`,
 *                       `data-pool`, `data-when`), gw-form-memory, gw-form-count, gw-form-duration,
 *                       gw-form-target (values new | path | later), gw-form-name, gw-form-idle, gw-form-most,
 *                       gw-preset (`data-size` small | medium | large, `data-when`), gw-form-script,
 *                       gw-form-args, gw-form-cost, gw-quotas, gw-form-submit; gw-said (what
 *                       happened), gw-trouble (an error, also elsewhere)
 *   gw-mine             section; gw-lease (`data-lease`, `data-state`): gw-lease-left, gw-lease-load,
 *                       gw-lease-start, gw-lease-extend, gw-lease-release; gw-mine-empty;
 *                       gw-taken (`data-lease`, lately over): gw-taken-again
 *   gw-waiting          section, only while somebody waits; gw-waiting-request (`data-request`):
 *                       gw-waiting-position, gw-waiting-reason, gw-waiting-cancel; gw-waiting-others
 *   gw-clusters         section; gw-clusters-empty; gw-cluster (`data-cluster`, `data-state`):
 *                       gw-cluster-fold, -workers ("2 of 4 × 1/4 GPU"), -message, -notice, -hint,
 *                       -again,
 *                       bars -use, -memory, -host; buttons -insert, -panes, -rename, -restart,
 *                       -stop, -extend; facts -tasks, -results, -spill, -age, -left, -idle;
 *                       gw-scale (`data-target`): gw-cluster-slider, gw-cluster-count,
 *                       gw-scale-said, gw-scale-when (`data-when`); gw-worker (`data-worker`,
 *                       `data-state`): gw-worker-use, -memory, -cpu, -host
 *   gw-pane             one of Dask's pages in the main area (`data-page`)
 *   gw-jobs             section; gw-job (`data-job`, `data-state`): gw-job-progress, gw-job-logs,
 *                       gw-job-open, gw-job-stop, gw-trail; gw-jobs-compare, gw-form-more (the whole form)
 *                       gw-sweep-row (its names: `sweep/row.tsx`)
 *                       (their pages' names: `job/page.tsx`, `job/newjob.tsx`, `job/compare.tsx`)
 *   gw-status           the status bar item
 *   gw-chip             the chip in a notebook's toolbar
 *   gw-dialog           the launcher's dialog (same gw-card, gw-form-… inside)
 */

import { refreshIcon, settingsIcon } from '@jupyterlab/ui-components';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { ClusterSection } from '../cluster/list';
import { dashboardIcon, gpuIcon } from '../icons';
import { JobSection } from '../job/list';
import { useFollowed } from '../surface/follow';
import { IconButton, Skeleton, Trouble } from '../surface/parts';
import { WordsContext } from '../surface/words';
import type { IPanelContext } from './context';
import { PanelContext, usePanel } from './context';
import { FleetSection, SimulatedNote } from './fleet';
import { RequestForm } from './form';
import { MineSection } from './mine';
import { WaitingSection } from './waiting';

export const PANEL_ID = 'gpu-workbench-panel';

export class WorkbenchPanel extends ReactWidget {
  constructor(private readonly context: IPanelContext) {
    super();
    const { trans } = context;
    this.id = PANEL_ID;
    this.addClass('gw-panel');
    this.title.icon = gpuIcon;
    this.title.caption = trans.__('GPUs: slices, clusters and jobs');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('GPUs'));
  }

  protected override render(): React.ReactElement {
    return (
      <PanelContext.Provider value={this.context}>
        <WordsContext.Provider value={this.context.trans}>
          <Panel />
        </WordsContext.Provider>
      </PanelContext.Provider>
    );
  }
}

/** The contents; a component of its own for tests. */
export function Panel(): React.ReactElement {
  const { workbench, actions, trans } = usePanel();
  const phase = useFollowed(workbench.changed, () => workbench.phase);
  const link = useFollowed(workbench.changed, () => workbench.link);
  const problem = useFollowed(workbench.changed, () => workbench.problem);
  const offline = phase === 'ready' && problem !== null;
  const retry = (): void => void workbench.refresh();
  return (
    <div
      className={`gw-panel-inner${offline ? ' gw-mod-offline' : ''}`}
      data-testid="gw-panel"
      data-phase={phase}
      data-link={link}
    >
      <div className="gw-head">
        <h2>{trans.__('GPUs')}</h2>
        <IconButton
          icon={dashboardIcon}
          label={trans.__('GPU dashboard')}
          testid="gw-open-dashboard"
          onClick={() => void actions.openDashboard(null)}
        />
        <IconButton icon={refreshIcon} label={trans.__('Read again')} onClick={retry} />
        <IconButton
          icon={settingsIcon}
          label={trans.__('Settings of GPU Workbench')}
          onClick={() => void actions.openSettings()}
        />
      </div>
      <SimulatedNote />
      {(offline || (phase === 'ready' && link === 'lost')) && (
        <div className="gw-disconnected" role="status" data-testid="gw-disconnected">
          {offline
            ? trans.__('Connection lost. This is the last known state; reconnecting…')
            : trans.__('No live figures at the moment; reconnecting…')}
        </div>
      )}
      <div className="gw-body">
        {phase === 'failed' && problem ? (
          <Trouble problem={problem} retry={retry} />
        ) : phase === 'loading' ? (
          <Skeleton lines={10} />
        ) : (
          <>
            <FleetSection />
            <RequestForm />
            <MineSection />
            <WaitingSection />
            <ClusterSection />
            <JobSection />
          </>
        )}
      </div>
    </div>
  );
}
