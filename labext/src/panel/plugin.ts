/** Puts the panel at the left and wires its actions to JupyterLab. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, IThemeManager } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';

import { questions } from '../cluster/actions';
import { dragCode } from '../cluster/drag';
import { offerPanes } from '../cluster/panes';
import { folderOnServer } from '../job/places';
import { stopJob } from '../job/questions';
import { outcome } from '../launcher/outcome';
import { CardsModel } from '../model/cards';
import { Trails } from '../model/trails';
import { clusterBody, jobBody, resolved } from '../model/form';
import { PresetsModel } from '../model/presets';
import { confirmRelease } from '../talk';
import { CommandIDs, IGpuWorkbench, INotebooks } from '../tokens';
import type { IActions, IFocus } from './context';
import { PANEL_ID, WorkbenchPanel } from './panel';

export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-gpu-workbench:panel',
  description: 'The panel "GPUs" at the left.',
  autoStart: true,
  requires: [IGpuWorkbench, INotebooks, ILabShell],
  optional: [ICommandPalette, ILayoutRestorer, IThemeManager, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    gpu: IGpuWorkbench,
    notebooks: INotebooks,
    shell: ILabShell,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    themes: IThemeManager | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyterlab_gpu_workbench');
    const { workbench, form, preferences } = gpu;
    const focus = new Focus();
    const cards = new CardsModel(workbench, form);
    const panel = new WorkbenchPanel({
      workbench,
      form,
      cards,
      presets: new PresetsModel(workbench, form),
      trails: new Trails(workbench),
      actions: actionsOf(app, gpu, notebooks, cards, trans),
      current: notebooks.current,
      focus,
      preferences,
      themeChanged: themes?.themeChanged ?? null,
      trans
    });
    shell.add(panel, 'left', { rank: 150, type: 'GPUs' });
    restorer?.add(panel, PANEL_ID);

    app.commands.addCommand(CommandIDs.openPanel, {
      label: trans.__('Show the GPU Panel'),
      execute: args => {
        focus.set(typeof args['lease'] === 'number' ? args['lease'] : null);
        shell.activateById(PANEL_ID);
      }
    });
    app.commands.addCommand(CommandIDs.requestSlice, {
      label: trans.__('Request a GPU Slice'),
      execute: () => {
        shell.activateById(PANEL_ID);
        // The panel may be drawn only now that it is shown.
        requestAnimationFrame(() => {
          panel.node.querySelector<HTMLInputElement>('.gw-mod-memory')?.focus();
        });
      }
    });
    for (const command of [CommandIDs.openPanel, CommandIDs.requestSlice]) {
      palette?.addItem({ command, category: trans.__('GPUs') });
    }
  }
};

/** The lease that the panel marks and scrolls to. */
class Focus implements IFocus {
  lease: number | null = null;
  readonly changed = new Signal<this, void>(this);

  set(lease: number | null): void {
    this.lease = lease;
    this.changed.emit();
  }
}

function actionsOf(
  app: JupyterFrontEnd,
  gpu: IGpuWorkbench,
  notebooks: INotebooks,
  cards: CardsModel,
  trans: TranslationBundle
): IActions {
  const { workbench, form } = gpu;
  const { starter, current } = notebooks;
  return {
    submit: async () => {
      const state = resolved(form.state, cards.cards);
      switch (state.purpose) {
        case 'kernel': {
          const request = await starter.ask(state);
          // A second press must not restart the same kernel again.
          form.set({ target: state.target.kind === 'later' ? state.target : { kind: 'new' } });
          return outcome(trans, request, workbench.clock.now);
        }
        case 'cluster': {
          const cluster = await workbench.startCluster(clusterBody(state));
          return trans.__('Cluster %1: %2', cluster.name, cluster.message || cluster.state);
        }
        case 'job': {
          const job = await workbench.startJob(jobBody(state, folderOnServer(starter.folder)));
          return trans.__('Job %1: %2', job.name, job.message || job.state);
        }
      }
    },
    startNotebook: lease => starter.startOn(lease),
    reveal: async lease => {
      const id = lease.holder?.id;
      const job = id === undefined ? undefined : workbench.jobs.get(id);
      if (job) {
        await app.commands.execute(CommandIDs.openJob, { id: job.id });
      } else if (lease.purpose === 'kernel') {
        await starter.reveal(lease);
      }
    },
    release: lease => confirmRelease(workbench, trans, lease),
    clusters: {
      ...questions(workbench, current, trans),
      drag: (cluster, from) => dragCode(cluster.name, from),
      offerPanes: (cluster, below) => offerPanes(app.commands, trans, cluster, below)
    },
    stopJob: job => stopJob(workbench, trans, job),
    openJob: async (job, tab) => {
      await app.commands.execute(CommandIDs.openJob, { id: job.id, ...(tab ? { tab } : {}) });
    },
    newJob: async () => {
      const { memory, profile, pool, count, seconds, script, args } = form.state;
      const common = { memory, profile, pool, count, seconds, script, args };
      await app.commands.execute(CommandIDs.newJob, { common });
    },
    compareJobs: async () => {
      await app.commands.execute(CommandIDs.compareJobs);
    },
    openSweep: sweep => app.commands.execute(CommandIDs.openSweep, { id: sweep.id }),
    stopSweep: sweep => app.commands.execute(CommandIDs.stopSweep, { id: sweep.id }),
    openDashboard: async gpu => {
      await app.commands.execute(CommandIDs.openDashboard, gpu === null ? {} : { gpu, tab: 'gpu' });
    },
    openSettings: async () => {
      await app.commands.execute('settingeditor:open', { query: 'GPU Workbench' });
    }
  };
}
