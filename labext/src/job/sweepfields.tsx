/**
 * The part of the new-job form that makes a sweep of it: parameters with several values each.
 *
 * `data-testid`: gw-newjob-sweep (the switch), gw-newjob-param (a row: gw-newjob-param-name,
 * gw-newjob-param-values, gw-newjob-param-remove), gw-newjob-param-add, gw-newjob-runs (what comes
 * of it), gw-newjob-atmost, gw-newjob-metric, gw-newjob-goal.
 */

import { closeIcon } from '@jupyterlab/ui-components';
import React, { useId } from 'react';

import { splitArgs } from '../model/form';
import type { IParameter } from '../model/grid';
import { nameOfParameter, pointsOf, pointWords, valuesOf } from '../model/grid';
import type { IJobFields, JobField } from '../model/jobform';
import { functionOf, isNotebook } from '../model/jobform';
import type { ISweepFields } from '../model/sweeps';
import { NEW_SWEEP } from '../model/sweeps';
import { Check } from '../surface/choices';
import { useFollowed } from '../surface/follow';
import { IconButton } from '../surface/parts';
import { ChoiceField, NumberField, TextField, useJobForm } from './formfields';

/** Combinations that are shown as an example. */
const SHOWN = 3;

export function SweepFields(props: {
  fields: IJobFields;
  faulty: readonly JobField[];
}): React.ReactElement {
  const { fields, faulty } = props;
  const { form, trans } = useJobForm();
  const script = useFollowed(form.common.changed, () => form.common.state.script);
  const { sweep } = fields;
  const isFunction = functionOf(fields) !== null;
  const change = (some: Partial<ISweepFields>): void =>
    form.set({ sweep: { ...(sweep ?? NEW_SWEEP), ...some } });
  return (
    <fieldset>
      <legend>{trans.__('Sweep')}</legend>
      {isFunction ? (
        <p className="gw-hint">
          {trans.__('A function is swept from its notebook: gw.sweep(train, {"lr": [0.1, 0.01]}).')}
        </p>
      ) : (
        <Check
          on={sweep !== null}
          testid="gw-newjob-sweep"
          turn={on => form.set({ sweep: on ? NEW_SWEEP : null })}
        >
          {trans.__('Try several values: a job for each combination, a few at a time')}
        </Check>
      )}
      {sweep && (
        <>
          <Parameters sweep={sweep} change={change} marked={faulty.includes('params')} />
          {isNotebook(script) && (
            <p className="gw-hint gw-mod-bad" role="alert">
              {trans.__(
                'A notebook takes no arguments. Sweep a script, or a function by gw.sweep.'
              )}
            </p>
          )}
          <div className="gw-row">
            <NumberField
              label={trans.__('at a time')}
              hint={trans.__('jobs that run or wait')}
              error={faulty.includes('atMost') ? trans.__('A number, 1 or more.') : ''}
              testid="gw-newjob-atmost"
              value={sweep.atMost}
              change={atMost => change({ atMost })}
            />
            <TextField
              label={trans.__('judged by')}
              hint={trans.__('a metric; empty: the loss')}
              testid="gw-newjob-metric"
              value={sweep.metric}
              placeholder="loss"
              change={metric => change({ metric })}
            />
            <ChoiceField
              label={trans.__('better is')}
              hint=""
              testid="gw-newjob-goal"
              value={sweep.goal}
              options={{ min: trans.__('less'), max: trans.__('more') }}
              change={goal => change({ goal })}
            />
          </div>
        </>
      )}
    </fieldset>
  );
}

function Parameters(props: {
  sweep: ISweepFields;
  change: (some: Partial<ISweepFields>) => void;
  marked: boolean;
}): React.ReactElement {
  const { sweep, change, marked } = props;
  const { form, trans } = useJobForm();
  const args = useFollowed(form.common.changed, () => form.common.state.args);
  const list = useId();
  const { params } = sweep;
  const set = (at: number, some: Partial<IParameter>): void =>
    change({ params: params.map((one, i) => (i === at ? { ...one, ...some } : one)) });
  const points = pointsOf(params);
  return (
    <div className="gw-newjob-params">
      <datalist id={list}>
        {splitArgs(args)
          .filter(word => word.startsWith('--'))
          .map(word => (
            <option key={word} value={word.replace(/^--|=.*$/g, '')} />
          ))}
      </datalist>
      <div className="gw-newjob-param gw-hint" aria-hidden="true">
        <span>{trans.__('argument')}</span>
        <span>{trans.__('its values')}</span>
      </div>
      {params.map((one, i) => (
        <div key={i} className="gw-newjob-param" data-testid="gw-newjob-param">
          <input
            className="gw-input"
            value={one.name}
            placeholder="lr"
            list={list}
            spellCheck={false}
            aria-label={trans.__('Argument %1', i + 1)}
            aria-invalid={marked && nameOfParameter(one.name) === null}
            data-testid="gw-newjob-param-name"
            onChange={event => set(i, { name: event.target.value })}
          />
          <input
            className="gw-input"
            value={one.values}
            placeholder={i ? '1..8' : '0.1, 0.03, 0.01'}
            spellCheck={false}
            aria-label={trans.__('Values of argument %1', i + 1)}
            aria-invalid={marked && valuesOf(one.values) === null}
            data-testid="gw-newjob-param-values"
            onChange={event => set(i, { values: event.target.value })}
          />
          {params.length > 1 && (
            <IconButton
              icon={closeIcon}
              label={trans.__('Remove argument %1', i + 1)}
              testid="gw-newjob-param-remove"
              onClick={event => {
                event.preventDefault();
                change({ params: params.filter((_, at) => at !== i) });
              }}
            />
          )}
        </div>
      ))}
      <div className="gw-row">
        <button
          className="gw-link"
          type="button"
          data-testid="gw-newjob-param-add"
          onClick={() => change({ params: [...params, { name: '', values: '' }] })}
        >
          {trans.__('Add an argument')}
        </button>
        <span
          className={marked && !points ? 'gw-hint gw-mod-bad' : 'gw-hint'}
          role="status"
          data-testid="gw-newjob-runs"
        >
          {points
            ? jobsWords(points.map(pointWords), count => trans.__('%1 jobs', count))
            : trans.__(
                'The script gets them as --name value. Values: 0.1, 0.01 or a range: 1..8, 0..1 by 0.25, 1e-4..1e-1 x10.'
              )}
        </span>
      </div>
    </div>
  );
}

/** "6 jobs: lr=0.1 width=32; lr=0.1 width=64; lr=0.01 width=32; …" */
function jobsWords(points: readonly string[], count: (jobs: number) => string): string {
  const more = points.length > SHOWN ? ['…'] : [];
  return `${count(points.length)}: ${[...points.slice(0, SHOWN), ...more].join('; ')}`;
}
