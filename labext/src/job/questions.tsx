/** What people are asked before something happens to a job. */

import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import type { Checkpoint, Job } from '../api/types';
import { jobIsOver } from '../model/jobs';
import type { Workbench } from '../model/workbench';
import { agreed, chosenOf } from '../talk';

/** Stop after a question: hours of training may hang on it. */
export async function stopJob(
  workbench: Workbench,
  trans: TranslationBundle,
  job: Job
): Promise<void> {
  const body = trans.__(
    'Its %1 ranks are ended and its slices given back. Logs stay.',
    job.ranks.length
  );
  const title = trans.__('Stop %1?', job.name);
  if (await agreed(title, body, trans.__('Stop'), trans.__('Let it run'))) {
    await workbench.stopJob(job.id);
  }
}

/** On how many ranks to go on; the new job, or null where somebody thought better of it. */
export async function resumeJob(
  workbench: Workbench,
  trans: TranslationBundle,
  job: Job,
  checkpoint: Checkpoint | null
): Promise<Job | null> {
  const step = checkpoint?.step ?? null;
  const { value, button } = await InputDialog.getNumber({
    title:
      step === null
        ? trans.__('Resume %1', job.name)
        : trans.__('Resume %1 from step %2', job.name, step),
    label: trans.__('Ranks (it had %1)', job.ranks.length),
    value: job.ranks.length,
    okLabel: trans.__('Resume')
  });
  if (!button.accept || value === null) {
    return null;
  }
  return workbench.resumeJob(job.id, {
    ranks: value,
    ...(checkpoint ? { checkpoint: checkpoint.path } : {})
  });
}

/** Which job a command is about; undefined where none was chosen. */
export async function whichJob(
  title: string,
  id: unknown,
  choices: readonly Job[],
  workbench: Workbench
): Promise<Job | undefined> {
  return typeof id === 'string' ? workbench.jobs.get(id) : chosenOf(title, choices);
}

/** Which jobs to lay over each other; null where somebody thought better of it. */
export async function whichToCompare(
  workbench: Workbench,
  trans: TranslationBundle,
  first: Job | null
): Promise<readonly string[] | null> {
  const body = new Choices(workbench.jobs.items, first, trans);
  const answer = await showDialog({
    title: first ? trans.__('Compare %1 with', first.name) : trans.__('Compare which jobs?'),
    body,
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Compare') })]
  });
  return answer.button.accept && answer.value && answer.value.length > 0 ? answer.value : null;
}

class Choices extends ReactWidget implements Dialog.IBodyWidget<readonly string[]> {
  constructor(
    private readonly jobs: readonly Job[],
    private readonly first: Job | null,
    private readonly trans: TranslationBundle
  ) {
    super();
    this.addClass('gw-dialog');
    // The run before is what one mostly wants to see.
    const other = jobs.find(job => job.id !== first?.id && jobIsOver(job)) ?? null;
    this.chosen = new Set([first, other].flatMap(job => (job ? [job.id] : [])));
  }

  getValue(): readonly string[] {
    return this.jobs.map(job => job.id).filter(id => this.chosen.has(id));
  }

  protected override render(): React.ReactElement {
    const { jobs, first, trans } = this;
    return (
      <div className="gw-choices" role="group" aria-label={trans.__('Jobs')} tabIndex={0}>
        {jobs.length < 2 && <p className="gw-empty">{trans.__('There is no other job yet.')}</p>}
        {jobs.map(job => (
          <label key={job.id} className="gw-check">
            <input
              type="checkbox"
              defaultChecked={this.chosen.has(job.id)}
              disabled={job.id === first?.id}
              data-testid="gw-compare-choice"
              data-job={job.id}
              onChange={event => {
                if (event.target.checked) {
                  this.chosen.add(job.id);
                } else {
                  this.chosen.delete(job.id);
                }
              }}
            />
            {job.name} <span className="gw-item-what">{`${job.state} · ${job.id}`}</span>
          </label>
        ))}
      </div>
    );
  }

  private readonly chosen: Set<string>;
}
