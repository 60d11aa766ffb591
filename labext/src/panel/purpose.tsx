/** The form's row that depends on what the slices are for: a notebook, a cluster, a job. */

import React, { useId } from 'react';

import type { Target } from '../model/form';
import { faultyField } from '../model/form';
import { shortName } from '../model/paths';
import { duration } from '../model/words';
import { Choice } from '../surface/choices';
import { useFollowed } from '../surface/follow';
import { usePanel } from './context';

/** Idle times to choose from, in seconds. */
const IDLE = [300, 900, 1800, 3600, 14_400];

export function PurposeFields(): React.ReactElement {
  const { form } = usePanel();
  const purpose = useFollowed(form.changed, () => form.state.purpose);
  switch (purpose) {
    case 'kernel':
      return <NotebookFields />;
    case 'cluster':
      return <ClusterFields />;
    case 'job':
      return <JobFields />;
  }
}

function NotebookFields(): React.ReactElement {
  const { form, current, trans } = usePanel();
  const target = useFollowed(form.changed, () => form.state.target);
  const path = useFollowed(current.changed, () => current.path);
  // Chosen while it was in front, or elsewhere: shown as long as it is what would be asked for.
  const other = target.kind === 'path' && target.path !== path ? target.path : null;
  const choose = (kind: string): void => {
    const chosen: Target =
      kind === 'path' && path ? { kind: 'path', path } : { kind: kind === 'later' ? kind : 'new' };
    form.set({ target: chosen });
  };
  return (
    <div className="gw-row">
      <Choice
        wide
        label={trans.__('opens')}
        value={other ?? target.kind}
        testid="gw-form-target"
        choose={choose}
      >
        <option value="new">{trans.__('a new notebook')}</option>
        {path && (
          <option value="path">{trans.__('%1 (restarts its kernel)', shortName(path))}</option>
        )}
        {other && (
          <option value={other}>{trans.__('%1 (restarts its kernel)', shortName(other))}</option>
        )}
        <option value="later">{trans.__('nothing yet')}</option>
      </Choice>
    </div>
  );
}

function ClusterFields(): React.ReactElement {
  const { form, trans } = usePanel();
  const idle = useFollowed(form.changed, () => form.state.idleSeconds);
  return (
    <>
      <GrowField />
      <div className="gw-row">
        <TextField field="name" label={trans.__('name')} hint={trans.__('chosen for you')} />
      </div>
      <div className="gw-row">
        <Choice
          wide
          label={trans.__('when idle')}
          value={idle ?? ''}
          testid="gw-form-idle"
          choose={value => form.set({ idleSeconds: value === '' ? null : Number(value) })}
        >
          <option value="">{trans.__('ends after the usual time')}</option>
          {IDLE.map(seconds => (
            <option key={seconds} value={seconds}>
              {trans.__('ends after %1', duration(trans, seconds))}
            </option>
          ))}
          <option value={0}>{trans.__('stays until its slices end')}</option>
        </Choice>
      </div>
    </>
  );
}

/** How many workers a cluster may take by itself; empty keeps their number as it is. */
function GrowField(): React.ReactElement {
  const { form, trans } = usePanel();
  const id = useId();
  const state = useFollowed(form.changed, () => form.state);
  const { count, most } = state;
  return (
    <div className="gw-row">
      <label className="gw-field">
        <span>{trans.__('grows to')}</span>
        <input
          className="gw-input gw-mod-count"
          type="number"
          min={Math.max(1, count || 1)}
          max={512}
          value={most === null || Number.isNaN(most) ? '' : most}
          placeholder="–"
          aria-describedby={id}
          aria-invalid={faultyField(state) === 'most'}
          data-testid="gw-form-most"
          onChange={event => {
            const { value, valueAsNumber } = event.target;
            form.set({ most: value === '' ? null : valueAsNumber });
          }}
        />
      </label>
      <span id={id} className="gw-hint" data-testid="gw-form-grows">
        {most === null || Number.isNaN(count)
          ? trans.__('by itself; empty: it keeps that number.')
          : trans.__('and back to %1, by what there is to do; more wait in the queue.', count)}
      </span>
    </div>
  );
}

function JobFields(): React.ReactElement {
  const { actions, trans } = usePanel();
  return (
    <>
      <div className="gw-row">
        <TextField field="script" label={trans.__('script')} hint="train.py" />
      </div>
      <div className="gw-row">
        <TextField field="args" label={trans.__('arguments')} hint="--epochs 3" />
      </div>
      <button
        className="gw-link gw-form-more"
        type="button"
        data-testid="gw-form-more"
        onClick={() => void actions.newJob()}
      >
        {trans.__('All options, with a file picker…')}
      </button>
    </>
  );
}

function TextField(props: {
  field: 'name' | 'script' | 'args';
  label: string;
  hint: string;
}): React.ReactElement {
  const { form } = usePanel();
  const value = useFollowed(form.changed, () => form.state[props.field]);
  return (
    <label className="gw-field gw-mod-wide">
      <span>{props.label}</span>
      <input
        className="gw-input"
        value={value}
        placeholder={props.hint}
        spellCheck={false}
        data-testid={`gw-form-${props.field}`}
        onChange={event => form.set({ [props.field]: event.target.value })}
      />
    </label>
  );
}
