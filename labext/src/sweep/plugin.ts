/** Commands about sweeps, and their pages in the main area: one for each, back with the layout. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { ICommandPalette, WidgetTracker } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { Sweep } from '../api/types';
import { NEW_SWEEP, sweepIsOver } from '../model/sweeps';
import type { Workbench } from '../model/workbench';
import { openTab } from '../surface/tab';
import { agreed, chosenOf, guarded } from '../talk';
import { CommandIDs, IGpuWorkbench } from '../tokens';
import type { SweepWidget } from './widget';

const NAMESPACE = 'gpu-workbench-sweep';

export const sweepPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:sweep',
  description: 'Sweeps: many jobs of one purpose as one group.',
  autoStart: true,
  requires: [IGpuWorkbench],
  optional: [ICommandPalette, ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench } = gpu;
    const { commands } = app;
    const tracker = new WidgetTracker<MainAreaWidget<SweepWidget>>({ namespace: NAMESPACE });
    const all = (): readonly Sweep[] => workbench.sweeps.items;
    const running = (): Sweep[] => all().filter(one => !sweepIsOver(one));
    const chosen = async (
      title: string,
      id: unknown,
      some: readonly Sweep[]
    ): Promise<Sweep | undefined> =>
      typeof id === 'string' ? workbench.sweeps.get(id) : chosenOf(title, some);

    commands.addCommand(CommandIDs.newSweep, {
      label: trans.__('New Sweep: a Training Job with Several Values…'),
      execute: guarded(trans, async args => {
        const { again } = args;
        await commands.execute(CommandIDs.newJob, {
          ...(typeof again === 'string' ? { again } : {}),
          fields: { sweep: NEW_SWEEP } as never
        });
      })
    });
    commands.addCommand(CommandIDs.openSweep, {
      label: trans.__('Open a Sweep…'),
      isEnabled: () => all().length > 0,
      execute: guarded(trans, async args => {
        const { id } = args;
        const found =
          typeof id === 'string'
            ? id
            : (await chosen(trans.__('Open which sweep?'), id, all()))?.id;
        if (found !== undefined) {
          await open(app, workbench, trans, tracker, found);
        }
      })
    });
    commands.addCommand(CommandIDs.stopSweep, {
      label: trans.__('Stop a Sweep…'),
      isEnabled: () => running().length > 0,
      execute: guarded(trans, async args => {
        const sweep = await chosen(trans.__('Stop which sweep?'), args['id'], running());
        if (sweep) {
          await stopSweep(workbench, trans, sweep);
        }
      })
    });
    const bySweeps = [CommandIDs.openSweep, CommandIDs.stopSweep];
    workbench.sweeps.changed.connect(() => {
      bySweeps.forEach(one => commands.notifyCommandChanged(one));
    });
    for (const command of [CommandIDs.newSweep, ...bySweeps]) {
      palette?.addItem({ command, category: trans.__('GPUs') });
    }
    void restorer?.restore(tracker, {
      command: CommandIDs.openSweep,
      args: widget => ({ id: widget.content.context.id }),
      name: widget => widget.content.context.id
    });
  }
};

/** Stop after a question. */
export async function stopSweep(
  workbench: Workbench,
  trans: TranslationBundle,
  sweep: Sweep
): Promise<void> {
  const body = trans.__(
    'Its jobs that run or wait are stopped, and no other is started. Logs stay.'
  );
  const title = trans.__('Stop the sweep %1?', sweep.name);
  if (await agreed(title, body, trans.__('Stop'), trans.__('Let it run'))) {
    await workbench.stopSweep(sweep.id);
  }
}

async function open(
  app: JupyterFrontEnd,
  workbench: Workbench,
  trans: TranslationBundle,
  tracker: WidgetTracker<MainAreaWidget<SweepWidget>>,
  id: string
): Promise<void> {
  const known = tracker.find(one => one.content.context.id === id);
  if (known) {
    app.shell.activateById(known.id);
    return;
  }
  const { SweepWidget } = await import('./widget');
  const { commands } = app;
  const content = new SweepWidget({
    workbench,
    id,
    openJob: job => commands.execute(CommandIDs.openJob, { id: job }),
    compare: ids => commands.execute(CommandIDs.compareJobs, { ids: [...ids] }),
    stop: sweep => stopSweep(workbench, trans, sweep),
    trans
  });
  content.title.label = trans.__('Sweep: %1', workbench.sweeps.get(id)?.name ?? id);
  content.title.caption = id;
  await openTab(app.shell, tracker, `${NAMESPACE}-${id}`, content);
}
