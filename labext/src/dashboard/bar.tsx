/** The dashboard's head: the window of time, live or held still, and what is shown as a file. */

import React, { useState } from 'react';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import { RANGES } from '../model/past';
import { clockTime, duration } from '../model/words';
import { Trouble } from '../surface/parts';
import { useDashboard } from './context';
import { saveCsv, savePng } from './export';

export function Bar(): React.ReactElement {
  const { model, trans } = useDashboard();
  const { workbench, paused, zoomed, shown } = model;
  const simulated = workbench.status?.simulated ?? false;
  const [problem, setProblem] = useState<ApiError | null>(null);
  const attempt = (save: () => void): void => {
    try {
      setProblem(null);
      save();
    } catch (reason) {
      setProblem(asApiError(reason));
    }
  };
  return (
    <header className="gw-dash-bar">
      <h2>{trans.__('GPU dashboard')}</h2>
      {simulated && (
        <span className="gw-tag gw-mod-simulated" data-testid="gw-dash-simulated">
          {trans.__('simulated GPUs')}
        </span>
      )}
      <span className="gw-dash-space" />
      <div className="gw-dash-group" role="group" aria-label={trans.__('Time range')}>
        {RANGES.map(range => (
          <button
            key={range.seconds}
            className="gw-dash-choice"
            aria-pressed={!zoomed && shown.range === range.seconds}
            data-testid={`gw-dash-range-${range.seconds}`}
            onClick={() => model.show({ range: range.seconds })}
          >
            {duration(trans, range.seconds)}
          </button>
        ))}
      </div>
      <div className="gw-dash-group" role="group" aria-label={trans.__('Window of time')}>
        <Tool
          name="earlier"
          label={trans.__('Earlier')}
          text="‹"
          go={() => model.zoomBy(1, -0.5)}
        />
        <Tool name="zoom-out" label={trans.__('Zoom out')} text="−" go={() => model.zoomBy(0.5)} />
        <Tool name="zoom-in" label={trans.__('Zoom in')} text="+" go={() => model.zoomBy(2)} />
        <Tool name="later" label={trans.__('Later')} text="›" go={() => model.zoomBy(1, 0.5)} />
      </div>
      {paused || zoomed ? (
        <button
          className="gw-button gw-mod-primary gw-dash-live"
          data-testid="gw-dash-live"
          onClick={() => model.live()}
        >
          {trans.__('Back to live')}
        </button>
      ) : (
        <button
          className="gw-button gw-dash-live"
          data-testid="gw-dash-pause"
          onClick={() => model.pause()}
        >
          {trans.__('Pause')}
        </button>
      )}
      <div className="gw-dash-group" role="group" aria-label={trans.__('As')}>
        <button
          className="gw-dash-choice"
          aria-pressed={shown.table}
          data-testid="gw-dash-table"
          title={trans.__('Figures instead of charts')}
          onClick={() => model.show({ table: !shown.table })}
        >
          {trans.__('Table')}
        </button>
        <Tool
          name="png"
          label={trans.__('Save what is shown as a picture')}
          text="PNG"
          go={() => attempt(() => savePng(model, trans))}
        />
        <Tool
          name="csv"
          label={trans.__('Save the figures as a table')}
          text="CSV"
          go={() => attempt(() => saveCsv(model))}
        />
      </div>
      {(zoomed || paused) && (
        <span className="gw-dash-window" role="status">
          {trans.__(
            '%1 to %2',
            clockTime(model.window.from, workbench.clock.now),
            clockTime(model.window.to, workbench.clock.now)
          )}
        </span>
      )}
      {problem && <Trouble problem={problem} dismiss={() => setProblem(null)} />}
    </header>
  );
}

function Tool(props: {
  name: string;
  label: string;
  text: string;
  go: () => void;
}): React.ReactElement {
  return (
    <button
      className="gw-dash-choice"
      title={props.label}
      aria-label={props.label}
      data-testid={`gw-dash-${props.name}`}
      onClick={props.go}
    >
      {props.text}
    </button>
  );
}
