/** One GPU closely: what it is, what it comes to, its charts, slices, processes and errors. */

import React from 'react';

import type { Gpu } from '../api/types';
import { useTold } from '../surface/follow';
import { GpuCharts } from './charts';
import { useDashboard } from './context';
import { GpuErrors } from './errors';
import { Glance } from './glance';
import { Processes } from './processes';
import { Slices } from './slices';

export function GpuPage(): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.changed);
  const { gpu } = model;
  if (!gpu) {
    return (
      <p className="gw-empty gw-dash-empty">
        {model.shown.gpu
          ? trans.__('This GPU is gone from the fleet. Pick another one above.')
          : trans.__('Pick a GPU above to see what it does, who uses it, and since when.')}
      </p>
    );
  }
  return (
    <div className="gw-dash-gpu" data-testid="gw-dash-gpu" data-gpu={gpu.name}>
      <Head gpu={gpu} />
      <Glance place={model.heat.place(gpu.uuid)} uuid={gpu.uuid} />
      <Slices gpu={gpu} />
      <GpuCharts gpu={gpu} />
      <Processes gpu={gpu} />
      <GpuErrors gpu={gpu} />
    </div>
  );
}

function Head(props: { gpu: Gpu }): React.ReactElement {
  const { trans } = useDashboard();
  const { gpu } = props;
  return (
    <div className="gw-dash-gpuhead">
      <h3>{gpu.name}</h3>
      <span className="gw-item-what">
        {gpu.model} · {trans.__('%1 GB', String(gpu.memory_gb))} · {gpu.node} ·{' '}
        {trans.__('pool %1', gpu.pool)}
      </span>
      {gpu.mig && <span className="gw-tag">MIG</span>}
      {gpu.simulated && <span className="gw-tag gw-mod-simulated">{trans.__('simulated')}</span>}
      {gpu.health !== 'ok' && (
        <span className="gw-tag gw-mod-sick">
          {gpu.health === 'lost' ? trans.__('lost') : trans.__('drained')}
        </span>
      )}
    </div>
  );
}
