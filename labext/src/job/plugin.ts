/** Commands about jobs: stop one, read its logs. Without an id they ask which. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  Dialog,
  ICommandPalette,
  InputDialog,
  MainAreaWidget,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { Job } from '../api/types';
import { gpuIcon } from '../icons';
import type { Workbench } from '../model/workbench';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench } from '../tokens';
import { jobIsOver } from './list';
import { JobLogs } from './logs';

export const jobPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:job',
  description: 'Commands for training jobs.',
  autoStart: true,
  requires: [IGpuWorkbench],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench } = gpu;
    const { commands } = app;
    const running = (): Job[] => workbench.jobs.items.filter(one => !jobIsOver(one));

    commands.addCommand(CommandIDs.stopJob, {
      label: trans.__('Stop a Training Job…'),
      isEnabled: () => running().length > 0,
      execute: guarded(trans, async args => {
        const job = await which(trans.__('Stop which job?'), args['id'], running(), workbench);
        if (job) {
          await stopJob(workbench, trans, job);
        }
      })
    });
    commands.addCommand(CommandIDs.openLogs, {
      label: trans.__('Open the Logs of a Training Job…'),
      isEnabled: () => workbench.jobs.items.length > 0,
      execute: guarded(trans, async args => {
        const all = workbench.jobs.items;
        const job = await which(trans.__('Logs of which job?'), args['id'], all, workbench);
        if (job) {
          openLogs(app, workbench, trans, job);
        }
      })
    });
    workbench.jobs.changed.connect(() => {
      commands.notifyCommandChanged(CommandIDs.stopJob);
      commands.notifyCommandChanged(CommandIDs.openLogs);
    });
    for (const command of [CommandIDs.stopJob, CommandIDs.openLogs]) {
      palette?.addItem({ command, category: trans.__('GPUs') });
    }
  }
};

/** Stop after a question: hours of training may hang on it. */
export async function stopJob(
  workbench: Workbench,
  trans: TranslationBundle,
  job: Job
): Promise<void> {
  const answer = await showDialog({
    title: trans.__('Stop %1?', job.name),
    body: trans.__(
      'Its %1 ranks are ended and its slices given back. Logs stay.',
      job.ranks.length
    ),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Let it run') }),
      Dialog.warnButton({ label: trans.__('Stop') })
    ]
  });
  if (answer.button.accept) {
    await workbench.stopJob(job.id);
  }
}

export function openLogs(
  app: JupyterFrontEnd,
  workbench: Workbench,
  trans: TranslationBundle,
  job: Job
): void {
  const id = `gpu-workbench-logs-${job.id}`;
  for (const widget of app.shell.widgets('main')) {
    if (widget.id === id) {
      app.shell.activateById(id);
      return;
    }
  }
  const widget = new MainAreaWidget({ content: new JobLogs(workbench, job, trans) });
  widget.id = id;
  widget.title.label = trans.__('Logs: %1', job.name);
  widget.title.icon = gpuIcon;
  widget.title.closable = true;
  app.shell.add(widget, 'main');
}

async function which(
  title: string,
  id: unknown,
  choices: readonly Job[],
  workbench: Workbench
): Promise<Job | undefined> {
  if (typeof id === 'string') {
    return workbench.jobs.get(id);
  }
  const labels = choices.map(job => `${job.name} (${job.id})`);
  const { value } = await InputDialog.getItem({ title, items: labels });
  return value === null ? undefined : choices[labels.indexOf(value)];
}
