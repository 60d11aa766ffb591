/** All GPUs, by node where there are several; long lists draw only what is in view. */

import React, { useState } from 'react';

import type { Fleet, Gpu } from '../api/types';
import { units } from '../model/words';
import { useFollowed } from '../surface/follow';
import { Section, Skeleton, Trouble } from '../surface/parts';
import { usePanel } from './context';
import { GPU_ROW_HEIGHT, GpuRow } from './gpurow';
import type { IRow } from './windowed';
import { Windowed } from './windowed';

const NODE_ROW_HEIGHT = 24;
const MANY = 100;
const VIEW_HEIGHT = 420;

export function FleetSection(): React.ReactElement {
  const { workbench, trans } = usePanel();
  const fleet = useFollowed(workbench.changed, () => workbench.fleet);
  return (
    <Section
      title={trans.__('Fleet')}
      name="fleet"
      aside={
        fleet && (
          <span data-testid="gw-free">
            {trans.__('%1 of %2 GPU free', units(fleet.units_free), units(fleet.units_total))}
          </span>
        )
      }
    >
      {fleet ? <Gpus fleet={fleet} /> : <Skeleton lines={4} />}
    </Section>
  );
}

/** "simulated GPUs · what is this?" and its answer. */
export function SimulatedNote(): React.ReactElement | null {
  const { workbench, trans } = usePanel();
  const simulated = useFollowed(workbench.changed, () => workbench.status?.simulated ?? false);
  const [open, setOpen] = useState(false);
  if (!simulated) {
    return null;
  }
  return (
    <div className="gw-simulated" data-testid="gw-simulated">
      <span className="gw-tag gw-mod-simulated">{trans.__('simulated GPUs')}</span>
      <button className="gw-link" aria-expanded={open} onClick={() => setOpen(!open)}>
        {trans.__('what is this?')}
      </button>
      {open && (
        <p>
          {trans.__(
            'No NVIDIA driver was found on this machine, so the GPUs below are simulated. Slices, ' +
              'queue, clusters and jobs are real and run on the CPU; the load shown is that of the ' +
              'processes that hold the slices.'
          )}
        </p>
      )}
    </div>
  );
}

function Gpus(props: { fleet: Fleet }): React.ReactElement {
  const { workbench, trans } = usePanel();
  const { gpus, trouble } = props.fleet;
  const retry = (): void => void workbench.refresh();
  if (gpus.length === 0) {
    return (
      <Trouble
        problem={
          trouble ?? {
            message: trans.__('There are no GPUs here.'),
            hint: trans.__(
              'Start with simulated GPUs, or see "gpu-workbench doctor" in a terminal.'
            )
          }
        }
        retry={retry}
      />
    );
  }
  const rows = rowsOf(gpus);
  return (
    <>
      {trouble && <Trouble problem={trouble} retry={retry} />}
      {gpus.length > MANY ? (
        <Windowed rows={rows} viewHeight={VIEW_HEIGHT} />
      ) : (
        rows.map(row => <React.Fragment key={row.key}>{row.render()}</React.Fragment>)
      )}
    </>
  );
}

/** A row per GPU; with several nodes, a heading before the GPUs of each. */
function rowsOf(gpus: readonly Gpu[]): IRow[] {
  const nodes = new Map<string, Gpu[]>();
  for (const gpu of gpus) {
    const there = nodes.get(gpu.node);
    if (there) {
      there.push(gpu);
    } else {
      nodes.set(gpu.node, [gpu]);
    }
  }
  const rows: IRow[] = [];
  for (const [node, there] of nodes) {
    if (nodes.size > 1) {
      rows.push({
        key: `node ${node}`,
        height: NODE_ROW_HEIGHT,
        render: () => <div className="gw-node">{node}</div>
      });
    }
    for (const gpu of there) {
      rows.push({
        key: gpu.uuid,
        height: GPU_ROW_HEIGHT,
        render: () => <GpuRow gpu={gpu} />
      });
    }
  }
  return rows;
}
