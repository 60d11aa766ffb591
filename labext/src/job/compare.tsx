/**
 * Two or more jobs beside each other: what came of them, in what they differ, their curves as one.
 *
 * `data-testid`: gw-compare (`data-jobs` their ids), gw-compare-job (`data-job`), gw-compare-remove,
 * gw-compare-add, gw-compare-spec (the table of differences), gw-compare-along, gw-compare-log,
 * gw-curve-NAME.
 */

import { closeIcon } from '@jupyterlab/ui-components';
import React, { useState } from 'react';

import type { Job, JobSpec } from '../api/types';
import { CurveChart } from '../chart/curvechart';
import { lineColour } from '../chart/colours';
import type { Along } from '../model/curves';
import { drawn } from '../model/curves';
import { chiefMetric, elapsedWords, figure, sizeWords } from '../model/jobs';
import { differences } from '../model/specs';
import { gpuTime } from '../model/words';
import { Check, Choice } from '../surface/choices';
import { useTold } from '../surface/follow';
import { Heads } from '../surface/heads';
import { IconButton } from '../surface/parts';
import { StateTag } from '../surface/state';
import type { ICompareContext } from './comparison';
import type { JobModel } from './model';

/** Points of a line that are drawn. */
const DRAWN = 600;

export function ComparePage(props: { context: ICompareContext }): React.ReactElement {
  const { model, trans } = props.context;
  useTold(model.changed, 200);
  useTold(model.drawn, 500);
  const [along, setAlong] = useState<Along>('step');
  const [log, setLog] = useState(false);
  const runs = model.runs;
  return (
    <div className="gw-compare" data-testid="gw-compare" data-jobs={model.ids.join(' ')}>
      <h2>{trans.__('Compare jobs')}</h2>
      <Outcomes {...props} />
      <Differences {...props} />
      <div className="gw-row gw-curves-bar">
        <Choice
          label={trans.__('along')}
          value={along}
          testid="gw-compare-along"
          choose={value => setAlong(value as Along)}
        >
          <option value="step">{trans.__('steps')}</option>
          <option value="time">{trans.__('time since the start')}</option>
        </Choice>
        <Check on={log} testid="gw-compare-log" turn={setLog}>
          {trans.__('log scale')}
        </Check>
      </div>
      {model.names.length === 0 && (
        <p className="gw-empty">{trans.__('None of these jobs has logged a metric.')}</p>
      )}
      <div className="gw-charts gw-mod-curves">
        {model.names.map(name => (
          <CurveChart
            key={`${name} ${model.ids.join()}`}
            title={name}
            curves={labels(runs).map(label => ({ name: label }))}
            columns={run => columnsOf(runs[run], name, along, log)}
            along="step"
            log={log}
            drawn={model.drawn}
            themeChanged={props.context.themeChanged}
            group={`gw-compare-${along}`}
            nothing={trans.__('Nothing to draw on this scale.')}
            stepWord={along === 'step' ? trans.__('step') : trans.__('second')}
            testid={`gw-curve-${name}`}
          />
        ))}
      </div>
    </div>
  );
}

/** Over time, runs begin together: what counts is how long each took. */
function columnsOf(
  run: JobModel | undefined,
  name: string,
  along: Along,
  log: boolean
): [number[], (number | null)[]] {
  const rank = run?.curves.ranks(name)[0];
  const curve = rank === undefined ? null : (run?.curves.curve(name, rank) ?? null);
  if (!run || !curve) {
    return [[], []];
  }
  const [places, values] = drawn(curve, along, DRAWN, log);
  const start = run.job?.started_at ?? places[0] ?? 0;
  return along === 'step' ? [places, values] : [places.map(at => at - start), values];
}

/** Names of the jobs, with their ids where two bear the same. */
export function labels(runs: readonly JobModel[]): string[] {
  const names = runs.map(run => run.job?.name ?? run.id);
  return names.map((name, i) =>
    names.filter(one => one === name).length > 1 ? `${name} ${runs[i]?.id.slice(-4)}` : name
  );
}

function Outcomes(props: { context: ICompareContext }): React.ReactElement {
  const { model, open, trans } = props.context;
  const now = model.workbench.clock.now;
  const named = labels(model.runs);
  const others = model.workbench.jobs.items.filter(job => !model.ids.includes(job.id));
  const heads = [
    trans.__('Job'),
    trans.__('State'),
    trans.__('On'),
    trans.__('Took'),
    trans.__('Step'),
    trans.__('Result'),
    trans.__('Held'),
    ''
  ];
  return (
    <>
      <div className="gw-tablebox" tabIndex={0} role="region" aria-label={trans.__('Outcomes')}>
        <table className="gw-table">
          <Heads heads={heads} />
          <tbody>
            {model.runs.map((run, i) => (
              <tr key={run.id} data-testid="gw-compare-job" data-job={run.id}>
                <th scope="row">
                  <span className="gw-key" style={{ background: lineColour(i) }} />
                  <button className="gw-link" onClick={() => void open(run.id)}>
                    {named[i]}
                  </button>
                </th>
                <td>{run.job && <StateTag state={run.job.state} />}</td>
                <td>{run.job && sizeWords(run.job)}</td>
                <td>{run.job && elapsedWords(run.job, now)}</td>
                <td>{run.job?.step ?? '–'}</td>
                <td>{run.job && resultOf(run.job)}</td>
                <td>{run.job?.hours_held ? gpuTime(trans, run.job.hours_held * 3600) : '–'}</td>
                <td>
                  {model.runs.length > 1 && (
                    <IconButton
                      icon={closeIcon}
                      label={trans.__('Leave out %1', named[i] ?? '')}
                      testid="gw-compare-remove"
                      onClick={() => model.remove(run.id)}
                    />
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {others.length > 0 && (
        <Choice
          label={trans.__('add')}
          value=""
          testid="gw-compare-add"
          choose={value => model.add(value)}
        >
          <option value="">{trans.__('a job…')}</option>
          {others.map(job => (
            <option key={job.id} value={job.id}>
              {job.name} ({job.state}, {job.id.slice(-4)})
            </option>
          ))}
        </Choice>
      )}
    </>
  );
}

function resultOf(job: Job): string {
  const name = chiefMetric(Object.keys(job.metrics));
  const value = name === null ? undefined : job.metrics[name];
  return name === null || value === undefined ? '–' : `${name} ${figure(value)}`;
}

function Differences(props: { context: ICompareContext }): React.ReactElement {
  const { model, trans } = props.context;
  const known = model.runs.filter(run => run.spec !== null);
  const rows = differences(known.map(run => run.spec as JobSpec)).filter(
    row => row.name !== 'resume_from'
  );
  const named = labels(known);
  if (known.length < 2) {
    return <></>;
  }
  if (rows.length === 0) {
    return (
      <p className="gw-hint" data-testid="gw-compare-same">
        {trans.__('Their specs are the same.')}
      </p>
    );
  }
  return (
    <div className="gw-tablebox" tabIndex={0} role="region" aria-label={trans.__('Differences')}>
      <table className="gw-table" data-testid="gw-compare-spec">
        <thead>
          <tr>
            <th scope="col">{trans.__('In what they differ')}</th>
            {named.map((name, i) => (
              <th key={known[i]?.id} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={row.name}>
              <th scope="row">{row.name}</th>
              {row.values.map((value, i) => (
                <td key={known[i]?.id} className="gw-mod-words">
                  {value}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
