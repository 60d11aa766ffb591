/** The heat map as a table: every GPU a row, to be found by name, a hundred at a time. */

import React, { useId, useState } from 'react';

import { Mark } from '../model/heat';
import { written } from '../model/metrics';
import { memoryOf } from '../model/words';
import { useTold } from '../surface/follow';
import { Heads } from '../surface/heads';
import { useDashboard } from './context';
import { lookOf } from './feed';

const AT_ONCE = 100;

export function FleetTable(): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 1000);
  const [sought, setSought] = useState('');
  const [most, setMost] = useState(AT_ONCE);
  const search = useId();
  const { heat, workbench } = model;
  const look = lookOf(workbench.telemetry);
  const found = heat.gpus
    .map((gpu, cell) => ({ gpu, cell }))
    .filter(({ gpu }) => `${gpu.name} ${gpu.node} ${gpu.pool} ${gpu.model}`.includes(sought));
  const state = (cell: number): string => {
    const marks = heat.marks[cell] ?? 0;
    return [
      marks & Mark.out ? trans.__('lost or drained') : '',
      marks & Mark.mine
        ? trans.__('mine')
        : marks & Mark.held
          ? trans.__('held')
          : trans.__('free'),
      marks & Mark.idle ? trans.__('idle > 10 min') : '',
      marks & Mark.stranger ? trans.__('busy without a lease') : ''
    ]
      .filter(Boolean)
      .join(', ');
  };
  return (
    <div className="gw-dash-tablebox" tabIndex={0} data-testid="gw-heat-table">
      <span className="gw-field">
        <label htmlFor={search}>{trans.__('find')}</label>
        <input
          id={search}
          className="gw-input"
          value={sought}
          placeholder={trans.__('GPU, node, pool or model')}
          onChange={event => setSought(event.target.value)}
        />
      </span>
      <table className="gw-table">
        <Heads
          heads={[
            trans.__('GPU'),
            trans.__('Node'),
            trans.__('Model'),
            trans.__('State'),
            trans.__('Use'),
            trans.__('SM activity'),
            trans.__('Memory'),
            trans.__('Power'),
            trans.__('Temperature')
          ]}
        />
        <tbody>
          {found.slice(0, most).map(({ gpu, cell }) => {
            const memory = look.value(gpu.uuid, 'memory_bytes');
            return (
              <tr key={gpu.uuid} aria-current={gpu.uuid === model.gpu?.uuid || undefined}>
                <th scope="row">
                  <button
                    className="gw-link"
                    onClick={() => model.show({ gpu: gpu.uuid, tab: 'gpu' })}
                  >
                    {gpu.name}
                  </button>
                </th>
                <td>{gpu.node}</td>
                <td>{gpu.model.replace(/^NVIDIA /, '')}</td>
                <td>{state(cell)}</td>
                <td>{written('share', heat.activity[cell] ?? NaN)}</td>
                <td>{written('share', look.value(gpu.uuid, 'sm_activity'))}</td>
                <td>{memoryOf(trans, Number.isNaN(memory) ? null : memory, gpu.memory_bytes)}</td>
                <td>{written('watts', look.value(gpu.uuid, 'power_watts'))}</td>
                <td>{written('celsius', look.value(gpu.uuid, 'temperature_c'))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {found.length > most && (
        <button className="gw-link" onClick={() => setMost(most + AT_ONCE)}>
          {trans.__('Show more of %1', found.length)}
        </button>
      )}
    </div>
  );
}
