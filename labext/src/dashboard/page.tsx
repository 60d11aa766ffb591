/**
 * The dashboard in the main area, top to bottom: how it is shown, the fleet, and what was picked.
 *
 * Names for tests and other extensions, stable from now on. `data-testid`:
 *
 *   gw-dashboard        all of it; `data-phase` loading | ready | failed, `data-live` live | paused |
 *                       zoomed | lost
 *   gw-dash-simulated   the tag "simulated", only where GPUs are
 *   gw-dash-lost        "disconnected since …"
 *   gw-dash-range-60 …  the time ranges by their seconds; gw-dash-pause, gw-dash-live, gw-dash-zoom-in,
 *                       gw-dash-zoom-out, gw-dash-earlier, gw-dash-later, gw-dash-table
 *   gw-dash-png, gw-dash-csv   what is shown as a file
 *   gw-dash-summary     "12 of 16 GPUs held, …"; gw-dash-metric chooses what the colours say
 *   gw-heat             the map, takes the focus; gw-heat-canvas; gw-heat-tip (`data-gpu`), gw-heat-table
 *   gw-dash-tab-gpu, gw-dash-tab-mine
 *   gw-dash-gpu         the picked GPU (`data-gpu` its name); gw-glance (`data-verdict`), gw-chart-NAME,
 *                       gw-chart-value, gw-slice (`data-slice`) with gw-slice-pick (for the charts), gw-slice-use,
 *                       gw-slice-memory and gw-slice-METRIC, gw-dash-of (the picked slice or process), gw-processes,
 *                       gw-process (`data-stranger`, `data-ended`) with gw-process-pick, gw-events with gw-event, gw-figures (the charts as a table),
 *                       gw-dash-missing (what it does not tell)
 *   gw-dash-lease       a lease of mine (`data-lease`)
 */

import React from 'react';

import { clockTime } from '../model/words';
import { useTold } from '../surface/follow';
import { Skeleton, Trouble } from '../surface/parts';
import { Bar } from './bar';
import { useDashboard } from './context';
import { FleetMap } from './fleetmap';
import { GpuPage } from './gpupage';
import { MinePage } from './mine';

export function DashboardPage(): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.changed);
  const { workbench, lostSince, paused, zoomed } = model;
  const { phase, problem, fleet } = workbench;
  const live = lostSince !== null ? 'lost' : zoomed ? 'zoomed' : paused ? 'paused' : 'live';
  const retry = (): void => void workbench.refresh();
  return (
    <div className="gw-dash-inner" data-testid="gw-dashboard" data-phase={phase} data-live={live}>
      <Bar />
      {lostSince !== null && phase === 'ready' && (
        <div className="gw-disconnected" role="status" data-testid="gw-dash-lost">
          {trans.__(
            'Disconnected since %1. This is the last that was seen; reconnecting…',
            clockTime(lostSince, workbench.clock.now)
          )}
        </div>
      )}
      <div className={`gw-dash-body${lostSince !== null ? ' gw-mod-lost' : ''}`}>
        {phase === 'failed' && problem ? (
          <Trouble problem={problem} retry={retry} />
        ) : phase === 'loading' || !fleet ? (
          <Skeleton lines={12} />
        ) : fleet.gpus.length === 0 ? (
          <Trouble
            problem={
              fleet.trouble ?? {
                message: trans.__('There are no GPUs here.'),
                hint: trans.__(
                  'Start with simulated GPUs, or see "gpu-workbench doctor" in a terminal.'
                )
              }
            }
            retry={retry}
          />
        ) : (
          <>
            {fleet.trouble && <Trouble problem={fleet.trouble} retry={retry} />}
            <FleetMap />
            <Picked />
          </>
        )}
      </div>
    </div>
  );
}

/** What is looked at closely: one GPU, or my own leases. */
function Picked(): React.ReactElement {
  const { model, trans } = useDashboard();
  const { tab } = model.shown;
  const tabs = [
    { id: 'gpu', label: model.gpu?.name ?? trans.__('One GPU') },
    { id: 'mine', label: trans.__('My leases (%1)', model.workbench.leases.items.length) }
  ] as const;
  return (
    <section className="gw-dash-picked" aria-label={trans.__('Details')}>
      <div className="gw-dash-tabs" role="tablist" aria-label={trans.__('Details of')}>
        {tabs.map(one => (
          <button
            key={one.id}
            id={`gw-tab-${one.id}`}
            role="tab"
            aria-selected={tab === one.id}
            aria-controls="gw-dash-tabpanel"
            tabIndex={tab === one.id ? 0 : -1}
            data-testid={`gw-dash-tab-${one.id}`}
            onClick={() => model.show({ tab: one.id })}
            onKeyDown={event => {
              if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') {
                const other = one.id === 'gpu' ? 'mine' : 'gpu';
                model.show({ tab: other });
                document.getElementById(`gw-tab-${other}`)?.focus();
              }
            }}
          >
            {one.label}
          </button>
        ))}
      </div>
      <div id="gw-dash-tabpanel" role="tabpanel" aria-labelledby={`gw-tab-${tab}`} tabIndex={0}>
        {tab === 'mine' ? <MinePage /> : <GpuPage />}
      </div>
    </section>
  );
}
