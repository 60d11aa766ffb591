/** Errors that the hardware counts: memory errors that were corrected or not, and the driver's XIDs. */

import React, { useEffect, useReducer, useRef } from 'react';

import type { Gpu } from '../api/types';
import type { MetricId } from '../model/metrics';
import { nameOf } from '../model/metrics';
import { clockTime } from '../model/words';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import { lookOf } from './feed';

const COUNTERS: readonly MetricId[] = ['ecc_uncorrected', 'ecc_corrected', 'xid'];
/** Events kept: of a GPU that fails again and again, the newest tell enough. */
const KEPT = 20;

interface IEvent {
  time: number;
  metric: MetricId;
  before: number;
  now: number;
}

export function GpuErrors(props: { gpu: Gpu }): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 1000);
  const { uuid } = props.gpu;
  const look = lookOf(model.workbench.telemetry);
  const events = useEvents(uuid);
  const told = COUNTERS.filter(metric => !Number.isNaN(look.value(uuid, metric)));
  const words = (metric: MetricId, value: number): string =>
    metric === 'xid' && value === 0 ? trans.__('none') : String(value);
  const at = model.workbench.telemetry.value(uuid, 'xid_at');
  return (
    <section className="gw-dash-part" aria-label={trans.__('Errors')} data-testid="gw-events">
      <h4>{trans.__('Hardware errors')}</h4>
      {told.length === 0 ? (
        <p className="gw-empty">{trans.__('This GPU does not tell its errors.')}</p>
      ) : (
        <p className="gw-dash-counters">
          {told.map(metric => (
            <span key={metric}>
              {nameOf(trans, metric)} <b>{words(metric, look.value(uuid, metric))}</b>
              {metric === 'xid' &&
                !Number.isNaN(at) &&
                ` ${trans.__('at %1', clockTime(at, model.workbench.clock.now))}`}
            </span>
          ))}
        </p>
      )}
      {events.length > 0 && (
        <ul className="gw-list">
          {events.map(event => (
            <li key={`${event.time} ${event.metric}`}>
              {clockTime(event.time, model.workbench.clock.now)}{' '}
              {event.metric === 'xid'
                ? trans.__('XID %1', event.now)
                : trans.__('%1: +%2', nameOf(trans, event.metric), event.now - event.before)}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** What was counted since this GPU is looked at, newest first. */
function useEvents(uuid: string): readonly IEvent[] {
  const { model } = useDashboard();
  const [, again] = useReducer((n: number) => n + 1, 0);
  const seen = useRef<{ uuid: string; counts: Map<MetricId, number>; events: IEvent[] }>({
    uuid: '',
    counts: new Map(),
    events: []
  });
  if (seen.current.uuid !== uuid) {
    seen.current = { uuid, counts: new Map(), events: [] };
  }
  useEffect(() => {
    const count = (): void => {
      const look = lookOf(model.workbench.telemetry);
      const { counts } = seen.current;
      for (const metric of COUNTERS) {
        const now = look.value(uuid, metric);
        const before = counts.get(metric);
        if (Number.isNaN(now) || now === before) {
          continue;
        }
        counts.set(metric, now);
        if (before !== undefined && now > 0) {
          const event = { time: look.time, metric, before, now };
          seen.current.events = [event, ...seen.current.events].slice(0, KEPT);
          again();
        }
      }
    };
    model.drawn.connect(count);
    return () => {
      model.drawn.disconnect(count);
    };
  }, [model, uuid]);
  return seen.current.events;
}
