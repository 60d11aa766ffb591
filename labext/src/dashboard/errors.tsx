/**
 * What the hardware did wrong: how often so far, and when, as the server's sampler saw it; whether
 * anybody looked at the time is all the same.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useEffect, useState } from 'react';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Gpu, HardwareError } from '../api/types';
import { clockTime } from '../model/words';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import type { DashboardModel } from './model';

type Kind = HardwareError['kind'];

/** In the order of how bad they are. */
const KINDS: readonly Kind[] = [
  'xid',
  'remap_failed',
  'ecc_uncorrected',
  'remapped_uncorrected',
  'ecc_corrected',
  'remapped_corrected'
];

export function GpuErrors(props: { gpu: Gpu }): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 1000);
  const { uuid } = props.gpu;
  const { errors, problem } = useErrors(uuid);
  const { telemetry, clock } = model.workbench;
  const totals = KINDS.map(kind => ({ kind, total: telemetry.value(uuid, kind) })).filter(
    ({ kind, total }) => kind !== 'xid' && kind !== 'remap_failed' && !Number.isNaN(total)
  );
  return (
    <section className="gw-dash-part" aria-label={trans.__('Errors')} data-testid="gw-events">
      <h4>{trans.__('Hardware errors')}</h4>
      {telemetry.value(uuid, 'remap_failed') === 1 && (
        <p className="gw-hint">
          {trans.__('Its memory is worn out: no spare row was left. Replace this GPU.')}
        </p>
      )}
      {telemetry.value(uuid, 'remap_pending') === 1 && (
        <p className="gw-hint">
          {trans.__('A row of its memory is replaced when the GPU is reset next.')}
        </p>
      )}
      {totals.length > 0 && (
        <p className="gw-dash-counters">
          {totals.map(({ kind, total }) => (
            <span key={kind}>
              {kindName(trans, kind)} <b>{total}</b>
            </span>
          ))}
        </p>
      )}
      {problem && <p className="gw-hint">{`${problem.message} ${problem.hint}`}</p>}
      {errors?.length === 0 && (
        <p className="gw-empty">
          {totals.length > 0
            ? trans.__('None was seen while the server ran.')
            : trans.__('None was seen. This GPU does not tell how many there were before.')}
        </p>
      )}
      <ul className="gw-list">
        {errors?.map(error => (
          <li key={`${error.at} ${error.kind} ${error.code}`} data-testid="gw-event">
            {clockTime(error.at, clock.now)} {words(trans, error)}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** "XID 79", "ECC errors, corrected: 3". */
function words(trans: TranslationBundle, { kind, code, count }: HardwareError): string {
  switch (kind) {
    case 'xid':
      return count > 1 ? trans.__('XID %1, %2 times', code, count) : trans.__('XID %1', code);
    case 'remap_failed':
      return kindName(trans, kind);
    default:
      return `${kindName(trans, kind)}: ${count}`;
  }
}

function kindName(trans: TranslationBundle, kind: Kind): string {
  const names: Record<Kind, string> = {
    xid: trans.__('XID'),
    remap_failed: trans.__('Memory worn out'),
    ecc_uncorrected: trans.__('ECC errors, uncorrected'),
    remapped_uncorrected: trans.__('Rows replaced after uncorrected errors'),
    ecc_corrected: trans.__('ECC errors, corrected'),
    remapped_corrected: trans.__('Rows replaced after corrected errors')
  };
  return names[kind];
}

/** Read when a GPU is looked at, and again when one of its counters has moved. */
function useErrors(uuid: string): {
  errors: readonly HardwareError[] | null;
  problem: ApiError | null;
} {
  const { model } = useDashboard();
  const [errors, setErrors] = useState<readonly HardwareError[] | null>(null);
  const [problem, setProblem] = useState<ApiError | null>(null);
  useEffect(() => {
    let gone = false;
    let seen = counted(model, uuid);
    const read = async (): Promise<void> => {
      try {
        const found = await model.workbench.api.hardwareErrors(uuid);
        if (!gone) {
          setErrors(found);
          setProblem(null);
        }
      } catch (reason) {
        if (!gone) {
          setProblem(asApiError(reason));
        }
      }
    };
    const look = (): void => {
      const now = counted(model, uuid);
      if (now !== seen && model.active && model.lostSince === null) {
        seen = now;
        void read();
      }
    };
    setErrors(null);
    void read();
    model.drawn.connect(look);
    return () => {
      gone = true;
      model.drawn.disconnect(look);
    };
  }, [model, uuid]);
  return { errors, problem };
}

/** The counters as one text, which is another when any of them has moved. */
function counted(model: DashboardModel, uuid: string): string {
  const { telemetry } = model.workbench;
  return [...KINDS, 'xid_at'].map(metric => telemetry.value(uuid, metric)).join(' ');
}
