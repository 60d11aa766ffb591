/** The whole fleet: a sentence, the heat map, its legend, and the same as a table. */

import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useId, useMemo } from 'react';

import { ColourScale } from '../chart/scale';
import { isDark } from '../chart/colours';
import type { HeatMetric, ISummary } from '../model/heat';
import { HEAT_METRICS } from '../model/heat';
import { nameOf, unitOf, written } from '../model/metrics';
import { useTold } from '../surface/follow';
import { useDashboard } from './context';
import { FleetTable } from './fleettable';
import { HeatCanvas } from './heatcanvas';

export function FleetMap(): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.changed);
  return (
    <section className="gw-dash-fleet" aria-label={trans.__('Fleet')}>
      <div className="gw-dash-row">
        <Summary />
        <MetricChoice />
      </div>
      {model.shown.table ? <FleetTable /> : <HeatCanvas />}
      {!model.shown.table && <Legend />}
    </section>
  );
}

function Summary(): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 500);
  return (
    <p className="gw-dash-summary" data-testid="gw-dash-summary">
      {summaryWords(trans, model.heat.summary())}
    </p>
  );
}

/** "12 of 16 GPUs held, 7 busy, 3 idle for > 10 min". */
export function summaryWords(trans: TranslationBundle, now: ISummary): string {
  const parts = [
    trans.__('%1 of %2 GPUs held', now.held, now.gpus),
    trans.__('%1 busy', now.busy),
    trans.__('%1 idle for > 10 min', now.idle)
  ];
  if (now.unknown) {
    parts.push(trans.__('%1 unknown', now.unknown));
  }
  if (now.out) {
    parts.push(trans.__('%1 lost or drained', now.out));
  }
  return parts.join(', ');
}

function MetricChoice(): React.ReactElement {
  const { model, trans } = useDashboard();
  const id = useId();
  return (
    <span className="gw-field gw-dash-metric">
      <label htmlFor={id}>{trans.__('colour')}</label>
      <select
        id={id}
        className="gw-input"
        value={model.shown.metric}
        data-testid="gw-dash-metric"
        onChange={event => model.show({ metric: event.target.value as HeatMetric })}
      >
        {HEAT_METRICS.map(metric => (
          <option key={metric} value={metric}>
            {nameOf(trans, metric)}
          </option>
        ))}
      </select>
    </span>
  );
}

function Legend(): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 2000);
  const dark = isDark();
  const gradient = useMemo(() => new ColourScale(dark).gradient(), [dark]);
  const { metric } = model.shown;
  const unit = unitOf(metric);
  const memory = metric === 'memory_bytes';
  const [low, high] = [
    written(memory ? 'share' : unit, metric === 'temperature_c' ? 20 : 0),
    memory ? written('share', 1) : written(unit, model.heat.top)
  ];
  return (
    <div className="gw-legend">
      <span>{low}</span>
      <span className="gw-legend-scale" style={{ background: gradient }} aria-hidden="true" />
      <span>{high}</span>
      <span className="gw-legend-mark gw-mod-free">{trans.__('free')}</span>
      <span className="gw-legend-mark gw-mod-mine">{trans.__('mine')}</span>
      <span className="gw-legend-mark gw-mod-idle">{trans.__('held, idle > 10 min')}</span>
      <span className="gw-legend-mark gw-mod-stranger">{trans.__('busy without a lease')}</span>
      <span className="gw-legend-mark gw-mod-unknown">{trans.__('unknown')}</span>
      <span className="gw-legend-mark gw-mod-out">{trans.__('lost or drained')}</span>
    </div>
  );
}
