/**
 * Opens the pages of jobs in the main area, one for each job, and brings them back with the layout.
 * What they show is loaded with the first one: JupyterLab starts without it.
 */

import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import type { MainAreaWidget } from '@jupyterlab/apputils';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { FileDialog } from '@jupyterlab/filebrowser';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import { ApiError } from '../api/errors';
import type { Job } from '../api/types';
import { CardsModel } from '../model/cards';
import type { IFormState } from '../model/form';
import { resolved } from '../model/form';
import type { IJobFields, JobForm } from '../model/jobform';
import type { Workbench } from '../model/workbench';
import { openTab } from '../surface/tab';
import { CommandIDs } from '../tokens';
import type { IJobActions } from './context';
import type { CompareWidget, JobWidget, NewJobWidget } from './lazy';
import type { Tab } from './model';
import { folderOnServer, inBrowser, isScript } from './places';
import { resumeJob, stopJob, whichToCompare } from './questions';

export interface IOpenerOptions {
  readonly app: JupyterFrontEnd;
  readonly workbench: Workbench;
  readonly files: IDefaultFileBrowser | null;
  readonly themeChanged: ISignal<unknown, unknown> | null;
  /** What a new form begins with: memory and time as the user set them. */
  readonly defaults: () => Partial<IFormState>;
  readonly trans: TranslationBundle;
}

/** What a new form begins with, as far as it may stand in a saved layout. */
export interface IFormStart {
  readonly common?: Partial<IFormState>;
  readonly fields?: Partial<Omit<IJobFields, 'base'>>;
  /** The job whose spec it is made out from. */
  readonly again?: string;
}

export class JobOpener {
  constructor(private readonly options: IOpenerOptions) {}

  /** Let the layout know of what is open. */
  restore(restorer: ILayoutRestorer): void {
    void restorer.restore(this.pages, {
      command: CommandIDs.openJob,
      args: widget => ({ ...widget.content.context.model.shown }),
      name: widget => widget.content.context.model.id
    });
    void restorer.restore(this.comparisons, {
      command: CommandIDs.compareJobs,
      args: widget => ({ ids: [...widget.content.context.model.ids] }),
      name: widget => widget.id
    });
    void restorer.restore(this.forms, {
      command: CommandIDs.newJob,
      args: widget => startOf(widget.content.context.form) as never,
      name: () => 'new'
    });
  }

  async page(id: string, args: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const { JobModel, JobWidget, shownOf } = await import('./lazy');
    const { app, workbench, themeChanged, trans } = this.options;
    const shown = shownOf(args);
    const open = this.pages.find(widget => widget.content.context.model.id === id);
    if (open) {
      open.content.context.model.show(shown);
      app.shell.activateById(open.id);
      return;
    }
    const model = new JobModel(workbench, { id, ...shown });
    const content = new JobWidget({ model, actions: this.actions(), themeChanged, trans });
    const titled = (): void => {
      content.title.label = model.job?.name ?? id;
      content.title.caption = trans.__('Training job %1', id);
    };
    titled();
    const tab = await openTab(app.shell, this.pages, `gpu-workbench-job-${id}`, content);
    model.changed.connect(() => {
      titled();
      void this.pages.save(tab);
    });
  }

  /** The form; the one that is open comes to the front where nothing else is asked for. */
  async form(start: IFormStart): Promise<void> {
    const { NewJobWidget, specBody, sweepBody } = await import('./lazy');
    const { app, workbench, trans } = this.options;
    const open = this.forms.currentWidget;
    if (open && !start.again && !start.common) {
      open.content.context.form.set(start.fields ?? {});
      app.shell.activateById(open.id);
      return;
    }
    open?.dispose();
    const { form, from } = await this.filled(start);
    const cards = new CardsModel(workbench, form.common);
    void cards.read();
    const content = new NewJobWidget({
      workbench,
      form,
      cards,
      contents: app.serviceManager.contents,
      from,
      submit: async () => {
        const state = resolved(form.common.state, cards.cards);
        const body = specBody(state, form.fields, folderOnServer);
        const many = form.fields.sweep && sweepBody(body, form.fields.sweep);
        if (many) {
          const { id } = await workbench.startSweep(many);
          await app.commands.execute(CommandIDs.openSweep, { id });
        } else {
          await this.page((await workbench.startJob(body)).id);
        }
        content.dispose();
      },
      browse: this.browse(),
      trans
    });
    content.title.label = from ? trans.__('Again: %1', from.name) : trans.__('New job');
    const tab = await openTab(app.shell, this.forms, 'gpu-workbench-new-job', content);
    form.changed.connect(() => void this.forms.save(tab));
  }

  async compare(ids: readonly string[]): Promise<void> {
    const { CompareWidget, Comparison } = await import('./lazy');
    const { app, workbench, themeChanged, trans } = this.options;
    const same = this.comparisons.find(
      widget => widget.content.context.model.ids.join() === ids.join()
    );
    if (same) {
      app.shell.activateById(same.id);
      return;
    }
    const model = new Comparison(workbench, ids);
    const open = (id: string): Promise<void> => this.page(id);
    const content = new CompareWidget({ model, open, themeChanged, trans });
    content.title.label = trans.__('Compare jobs');
    const name = `gpu-workbench-compare-${UUID.uuid4()}`; // Which jobs it shows may change.
    const tab = await openTab(app.shell, this.comparisons, name, content);
    model.changed.connect(() => void this.comparisons.save(tab));
  }

  /** Resume, then show the new job. */
  async resume(job: Job, checkpoint: Parameters<IJobActions['resume']>[1]): Promise<void> {
    const { workbench, trans } = this.options;
    const next = await resumeJob(workbench, trans, job, checkpoint);
    if (next) {
      await this.page(next.id);
    }
  }

  private actions(): IJobActions {
    const { app, workbench, trans } = this.options;
    return {
      stop: job => stopJob(workbench, trans, job),
      resume: (job, checkpoint) => this.resume(job, checkpoint),
      again: job => this.form({ again: job.id }),
      sweep: job => app.commands.execute(CommandIDs.newSweep, { again: job.id }),
      openSweep: id => app.commands.execute(CommandIDs.openSweep, { id }),
      openBoard: job => app.commands.execute(CommandIDs.openBoard, { id: job.id }),
      compare: async job => {
        const ids = await whichToCompare(workbench, trans, job);
        if (ids) {
          await this.compare(ids);
        }
      },
      open: (id: string, tab?: Tab) => this.page(id, tab ? { tab } : {}),
      openNotebook: async path => {
        const name = await inBrowser(app.serviceManager.contents, path);
        if (name === null) {
          throw new ApiError(
            'not_found',
            trans.__('%1 can’t be opened here.', path),
            trans.__('It was not written, or lies outside of the folder JupyterLab shows.'),
            404
          );
        }
        await app.commands.execute('docmanager:open', { path: name });
      },
      openPanel: async lease => {
        await app.commands.execute(CommandIDs.openPanel, { lease });
      }
    };
  }

  private async filled(start: IFormStart): Promise<{ form: JobForm; from: Job | null }> {
    const { workbench } = this.options;
    const { JobForm } = await import('./lazy');
    if (start.again === undefined) {
      const common = { ...this.options.defaults(), ...start.common };
      return { form: new JobForm(common, start.fields), from: null };
    }
    const spec = await workbench.api.jobSpec(start.again);
    const from = workbench.jobs.get(start.again) ?? (await workbench.api.job(start.again));
    const form = JobForm.of(spec);
    form.set(start.fields ?? {});
    return { form, from };
  }

  /** JupyterLab's file dialog, where there is a file browser. */
  private browse(): (() => Promise<string | null>) | null {
    const { files, trans } = this.options;
    if (!files) {
      return null;
    }
    return async () => {
      const answer = await FileDialog.getOpenFiles({
        manager: files.model.manager,
        title: trans.__('Which script or notebook?'),
        filter: item => (isScript(item) ? {} : null)
      });
      const chosen = answer.button.accept ? answer.value?.[0] : undefined;
      return chosen && chosen.type !== 'directory' ? chosen.path : null;
    };
  }

  private readonly pages = new WidgetTracker<MainAreaWidget<JobWidget>>({
    namespace: 'gpu-workbench-job'
  });
  private readonly comparisons = new WidgetTracker<MainAreaWidget<CompareWidget>>({
    namespace: 'gpu-workbench-compare'
  });
  private readonly forms = new WidgetTracker<MainAreaWidget<NewJobWidget>>({
    namespace: 'gpu-workbench-new-job'
  });
}

/** What of a form may be kept in a layout: no secrets, and no function. */
function startOf(form: JobForm): IFormStart {
  const { base, ...fields } = form.fields;
  return base ? {} : { common: form.common.state, fields: { ...fields, env: '' } };
}
