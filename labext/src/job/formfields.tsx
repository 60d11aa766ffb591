/** Fields of the new-job form with label, hint and error in place; the script's knows the files. */

import type { Contents } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import React, { createContext, useContext, useEffect, useId, useState } from 'react';

import type { Job } from '../api/types';
import type { CardsModel } from '../model/cards';
import type { JobForm } from '../model/jobform';
import type { Workbench } from '../model/workbench';
import { useFollowed } from '../surface/follow';
import { isScript } from './places';

export interface IJobFormContext {
  readonly workbench: Workbench;
  readonly form: JobForm;
  readonly cards: CardsModel;
  readonly contents: Contents.IManager;
  /** The job that the form was made out from. */
  readonly from: Job | null;
  /** Send it and open its page; rejects with `ApiError`. */
  submit(): Promise<void>;
  /** JupyterLab's own dialog; null where nothing was chosen. */
  browse: (() => Promise<string | null>) | null;
  readonly trans: TranslationBundle;
}

export const JobFormContext = createContext<IJobFormContext | null>(null);

export function useJobForm(): IJobFormContext {
  const context = useContext(JobFormContext);
  if (!context) {
    throw new Error('A field of the job form is used outside of it.');
  }
  return context;
}

export function Field(props: {
  label: string;
  hint: string;
  error?: string;
  children: React.ReactElement;
}): React.ReactElement {
  const note = useId();
  const { error, hint } = props;
  return (
    <div className="gw-newjob-field">
      <label>
        <span className="gw-newjob-label">{props.label}</span>
        {React.cloneElement(props.children, { 'aria-describedby': note } as object)}
      </label>
      <span id={note} className={error ? 'gw-hint gw-mod-bad' : 'gw-hint'}>
        {error || hint}
      </span>
    </div>
  );
}

interface IInput {
  label: string;
  hint: string;
  /** What is wrong with what stands there; empty where nothing is. */
  error?: string;
  testid: string;
  value: string;
  change: (value: string) => void;
}

/** A line of text. */
export function TextField(
  props: IInput & { placeholder?: string; list?: string; count?: boolean }
): React.ReactElement {
  const { count, change } = props;
  return (
    <Field {...props}>
      <input
        className={count ? 'gw-input gw-mod-count' : 'gw-input'}
        inputMode={count ? 'decimal' : undefined}
        value={props.value}
        placeholder={props.placeholder}
        list={props.list}
        spellCheck={false}
        aria-invalid={Boolean(props.error)}
        data-testid={props.testid}
        onChange={event => change(event.target.value)}
      />
    </Field>
  );
}

/** A number as it was typed, which may be none. */
export function NumberField(props: IInput): React.ReactElement {
  return <TextField {...props} count />;
}

/** One of several; `options` are their words by value. */
export function ChoiceField<T extends string>(props: {
  label: string;
  hint: string;
  testid: string;
  value: T;
  options: Readonly<Record<T, string>>;
  change: (value: T) => void;
}): React.ReactElement {
  const { options, change } = props;
  return (
    <Field {...props}>
      <select
        className="gw-input"
        value={props.value}
        data-testid={props.testid}
        onChange={event => change(event.target.value as T)}
      >
        {(Object.keys(options) as T[]).map(one => (
          <option key={one} value={one}>
            {options[one]}
          </option>
        ))}
      </select>
    </Field>
  );
}

export function ScriptField(props: { faulty: boolean }): React.ReactElement {
  const { form, contents, browse, trans } = useJobForm();
  const script = useFollowed(form.common.changed, () => form.common.state.script);
  const list = useId();
  const offers = useScripts(contents, script);
  return (
    <div className="gw-newjob-script">
      <TextField
        label={trans.__('script')}
        hint={trans.__('a Python script or a notebook, from the folder JupyterLab shows')}
        error={props.faulty ? trans.__('Which script?') : ''}
        testid="gw-newjob-script"
        value={script}
        placeholder="train.py"
        list={list}
        change={text => form.common.set({ script: text })}
      />
      <datalist id={list} data-testid="gw-newjob-offers">
        {offers.map(path => (
          <option key={path} value={path} />
        ))}
      </datalist>
      {browse && (
        <button
          className="gw-button"
          type="button"
          data-testid="gw-newjob-browse"
          onClick={() =>
            void browse().then(path => {
              if (path !== null) {
                form.common.set({ script: path });
              }
            })
          }
        >
          {trans.__('Browse…')}
        </button>
      )}
    </div>
  );
}

/** What may follow the path as it is typed: scripts, notebooks and folders of the folder named so far. */
function useScripts(contents: Contents.IManager, typed: string): readonly string[] {
  const [offers, setOffers] = useState<readonly string[]>([]);
  const folder = typed.slice(0, Math.max(0, typed.lastIndexOf('/')));
  const known = !typed.startsWith('/') && !typed.startsWith('~');
  useEffect(() => {
    let gone = false;
    if (!known) {
      setOffers([]);
      return;
    }
    contents.get(folder, { content: true }).then(
      model => {
        const items = (model.content ?? []) as Contents.IModel[];
        if (!gone && model.type === 'directory') {
          setOffers(items.filter(isScript).map(one => scriptPath(one)));
        }
      },
      () => !gone && setOffers([]) // No such folder (yet).
    );
    return () => {
      gone = true;
    };
  }, [contents, folder, known]);
  return offers;
}

function scriptPath(item: Contents.IModel): string {
  return item.type === 'directory' ? `${item.path}/` : item.path;
}
