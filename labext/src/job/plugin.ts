/** Commands about jobs: new, open, logs, stop, resume, compare, and a notebook as one. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { Job } from '../api/types';
import { jobIcon } from '../icons';
import type { IFormState } from '../model/form';
import { jobIsOver } from '../model/jobs';
import { guarded } from '../talk';
import { CommandIDs, IGpuWorkbench, INotebooks } from '../tokens';
import { runNotebook } from './notebook';
import type { IFormStart } from './opener';
import { JobOpener } from './opener';
import { stopJob, whichJob, whichToCompare } from './questions';

export const jobPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:job',
  description: 'Training jobs: their pages, the form, and commands.',
  autoStart: true,
  requires: [IGpuWorkbench, INotebooks],
  optional: [
    ICommandPalette,
    IDefaultFileBrowser,
    ILauncher,
    ILayoutRestorer,
    IThemeManager,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    notebooks: INotebooks,
    palette: ICommandPalette | null,
    files: IDefaultFileBrowser | null,
    launcher: ILauncher | null,
    restorer: ILayoutRestorer | null,
    themes: IThemeManager | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench } = gpu;
    const { commands } = app;
    const themeChanged = themes?.themeChanged ?? null;
    const defaults = (): Partial<IFormState> => {
      const { memory, seconds } = gpu.form.state;
      return { memory, seconds };
    };
    const opener = new JobOpener({ app, workbench, files, themeChanged, defaults, trans });
    const all = (): readonly Job[] => workbench.jobs.items;
    const running = (): Job[] => all().filter(one => !jobIsOver(one));
    const over = (): Job[] => all().filter(jobIsOver);

    commands.addCommand(CommandIDs.newJob, {
      label: args => (args['isPalette'] ? trans.__('New Training Job…') : trans.__('Training job')),
      caption: trans.__('Run a script or a notebook on GPU slices, in processes of its own'),
      icon: args => (args['isPalette'] ? undefined : jobIcon),
      execute: guarded(trans, args => opener.form(args as IFormStart))
    });
    commands.addCommand(CommandIDs.openJob, {
      label: trans.__('Open a Training Job…'),
      isEnabled: () => all().length > 0,
      execute: guarded(trans, async args => {
        const { id } = args;
        const found =
          typeof id === 'string' ? id : (await which(trans.__('Open which job?'), id, all()))?.id;
        if (found !== undefined) {
          await opener.page(found, args);
        }
      })
    });
    commands.addCommand(CommandIDs.openLogs, {
      label: trans.__('Open the Logs of a Training Job…'),
      isEnabled: () => all().length > 0,
      execute: guarded(trans, async args => {
        const job = await which(trans.__('Logs of which job?'), args['id'], all());
        if (job) {
          await opener.page(job.id, { ...args, tab: 'logs' });
        }
      })
    });
    commands.addCommand(CommandIDs.stopJob, {
      label: trans.__('Stop a Training Job…'),
      isEnabled: () => running().length > 0,
      execute: guarded(trans, async args => {
        const job = await which(trans.__('Stop which job?'), args['id'], running());
        if (job) {
          await stopJob(workbench, trans, job);
        }
      })
    });
    commands.addCommand(CommandIDs.resumeJob, {
      label: trans.__('Resume a Training Job from Its Checkpoint…'),
      isEnabled: () => over().length > 0,
      execute: guarded(trans, async args => {
        const job = await which(trans.__('Resume which job?'), args['id'], over());
        if (job) {
          await opener.resume(job, null);
        }
      })
    });
    commands.addCommand(CommandIDs.compareJobs, {
      label: trans.__('Compare Training Jobs…'),
      isEnabled: () => all().length > 1,
      execute: guarded(trans, async args => {
        const given = args['ids'];
        const ids = Array.isArray(given)
          ? given.map(String)
          : await whichToCompare(workbench, trans, null);
        if (ids) {
          await opener.compare(ids);
        }
      })
    });
    commands.addCommand(CommandIDs.runNotebook, {
      label: trans.__('Run This Notebook as a GPU Job…'),
      caption: trans.__('Run this notebook as a job on a GPU slice'),
      icon: args => (args['toolbar'] ? jobIcon : undefined),
      isEnabled: () => notebooks.current.panel !== null,
      execute: guarded(trans, async () => {
        const { panel } = notebooks.current;
        const { memory, seconds, profile, pool } = gpu.form.state;
        const start = { memory, seconds, profile, pool };
        const job = panel ? await runNotebook(workbench, trans, panel, start) : null;
        if (job) {
          await opener.page(job.id, { tab: 'logs' });
        }
      })
    });

    const which = (title: string, id: unknown, jobs: readonly Job[]): Promise<Job | undefined> =>
      whichJob(title, id, jobs, workbench);
    const byJobs = [
      CommandIDs.openJob,
      CommandIDs.openLogs,
      CommandIDs.stopJob,
      CommandIDs.resumeJob,
      CommandIDs.compareJobs
    ];
    workbench.jobs.changed.connect(() => byJobs.forEach(one => commands.notifyCommandChanged(one)));
    notebooks.current.changed.connect(() => commands.notifyCommandChanged(CommandIDs.runNotebook));
    for (const command of [CommandIDs.newJob, ...byJobs, CommandIDs.runNotebook]) {
      palette?.addItem({ command, category: trans.__('GPUs'), args: { isPalette: true } });
    }
    launcher?.add({ command: CommandIDs.newJob, category: trans.__('GPUs'), rank: 3 });
    if (restorer) {
      opener.restore(restorer);
    }
  }
};
