/** My leases, each with what its slices do together. */

import React from 'react';

import type { Lease } from '../api/types';
import { TimeChart } from '../chart/timechart';
import { gigabytes, leaseName, profileName, shortLeft } from '../model/words';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import { togetherOf } from './picture';

export function MinePage(): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.workbench.leases.changed);
  const leases = model.workbench.leases.items;
  if (leases.length === 0) {
    return (
      <p className="gw-empty gw-dash-empty">
        {trans.__(
          'You hold nothing. Request a slice in the GPU panel, or in a cell: gw.request("20GB").'
        )}
      </p>
    );
  }
  return (
    <div className="gw-dash-leases">
      {leases.map(lease => (
        <LeaseCard key={lease.id} lease={lease} />
      ))}
    </div>
  );
}

function LeaseCard(props: { lease: Lease }): React.ReactElement {
  const { model, trans, themeChanged, openPanel } = useDashboard();
  useTold(model.drawn, 1000);
  const { lease } = props;
  const name = leaseName(lease, trans);
  const slices = lease.slices.map(slice => slice.id);
  const total = lease.slices.reduce((sum, slice) => sum + slice.memory_bytes, 0);
  const common = {
    drawn: model.drawn,
    themeChanged,
    group: 'gw-dashboard',
    zoom: (from: number, to: number) => model.zoom(from, to),
    nothing: model.past.loading ? trans.__('reading…') : trans.__('Unknown: nothing was measured.'),
    height: 110
  };
  return (
    <section
      className="gw-dash-lease"
      aria-label={name}
      data-testid="gw-dash-lease"
      data-lease={lease.id}
    >
      <div className="gw-dash-leasehead">
        <button className="gw-link gw-item-name" onClick={() => openPanel(lease.id)}>
          {name}
        </button>
        <span className="gw-item-what">
          {lease.slices.length > 1 && `${lease.slices.length}×`}
          {profileName(lease.profile)}
        </span>
        <span className="gw-item-what">
          {trans.__('%1 left', shortLeft(trans, lease.ends_at - model.workbench.clock.now))}
        </span>
        <Where lease={lease} />
      </div>
      <div className="gw-charts">
        <TimeChart
          {...common}
          title={trans.__('Use')}
          unit="share"
          series={[{ name: trans.__('Use'), area: true }, { name: trans.__('SM activity') }]}
          picture={() => togetherOf(model, slices, ['activity', 'sm_activity'], 'mean')}
        />
        <TimeChart
          {...common}
          title={trans.__('Memory')}
          unit="bytes"
          series={[{ name: trans.__('Memory'), area: true }]}
          limit={{ value: total, name: trans.__('%1 GB', gigabytes(total)) }}
          picture={() => togetherOf(model, slices, ['memory_bytes'], 'sum')}
        />
      </div>
    </section>
  );
}

/** The GPUs it lies on, as ways to them. */
function Where(props: { lease: Lease }): React.ReactElement {
  const { model } = useDashboard();
  const places = [...new Set(props.lease.slices.map(slice => slice.gpu))];
  const gpus = model.workbench.fleet?.gpus.filter(gpu => places.includes(gpu.uuid)) ?? [];
  return (
    <span className="gw-item-what">
      {gpus.slice(0, 4).map(gpu => (
        <button
          key={gpu.uuid}
          className="gw-link gw-dash-where"
          onClick={() => model.show({ gpu: gpu.uuid, tab: 'gpu' })}
        >
          {gpu.name}
        </button>
      ))}
      {gpus.length > 4 && ` +${gpus.length - 4}`}
    </span>
  );
}
