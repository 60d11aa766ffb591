/** "100 % busy" and "3 % of the SMs" beside each other, as bars and in a sentence. */

import React from 'react';

import type { MetricId } from '../model/metrics';
import { nameOf, throttledBy, written } from '../model/metrics';
import { verdictOf, verdictWords } from '../model/verdict';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import { lookOf } from './feed';

/** Under each other on one scale: the two that must not be taken for each other. */
const MAIN: readonly MetricId[] = ['activity', 'sm_activity'];
/** Only where they are told. */
const MORE: readonly MetricId[] = ['tensor_activity', 'dram_activity', 'sm_occupancy'];

export function Glance(props: { place: number; uuid: string }): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 250);
  const look = lookOf(model.workbench.telemetry);
  const valueOf = (metric: MetricId): number =>
    metric === 'activity'
      ? (model.heat.activity[props.place] ?? NaN)
      : look.value(props.uuid, metric);
  const [activity, sm] = [valueOf('activity'), valueOf('sm_activity')];
  const verdict = verdictOf(activity, sm);
  const held = throttledBy(trans, model.workbench.telemetry.value(props.uuid, 'throttle') || 0);
  return (
    <div className="gw-glance" data-testid="gw-glance" data-verdict={verdict}>
      <p className="gw-glance-words">
        {verdictWords(trans, verdict, activity, sm)}
        {held.length > 0 && ' ' + trans.__('Its clocks are held down: %1.', held.join(', '))}
      </p>
      {[MAIN, MORE.filter(metric => !Number.isNaN(valueOf(metric)))].map(
        (metrics, i) =>
          metrics.length > 0 && (
            <div key={i} className={`gw-glance-bars${i === 0 ? ' gw-mod-main' : ''}`}>
              {metrics.map(metric => (
                <GlanceBar
                  key={metric}
                  name={nameOf(trans, metric)}
                  value={valueOf(metric)}
                  unknown={trans.__('not told')}
                />
              ))}
            </div>
          )
      )}
    </div>
  );
}

function GlanceBar(props: { name: string; value: number; unknown: string }): React.ReactElement {
  const { name, value } = props;
  const known = !Number.isNaN(value);
  const words = known ? written('share', value) : props.unknown;
  return (
    <div className="gw-glance-bar">
      <span className="gw-glance-name">{name}</span>
      {known ? (
        <span
          className="gw-meter"
          role="meter"
          aria-label={name}
          aria-valuemin={0}
          aria-valuemax={100}
          aria-valuenow={Math.round(value * 100)}
        >
          <span className="gw-meter-fill" style={{ width: `${Math.min(1, value) * 100}%` }} />
        </span>
      ) : (
        <span className="gw-meter gw-mod-unknown" aria-hidden="true" />
      )}
      <b className="gw-glance-value">{words}</b>
    </div>
  );
}
