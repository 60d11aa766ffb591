/**
 * TensorBoard on one job in the main area: started when somebody looks, a sentence until it is there,
 * and what to do where it can't be had. It ends by itself; shown again, it is started again.
 *
 * `data-testid`: gw-board (`data-job`, `data-state`: starting | ready | failed), gw-board-words,
 * gw-board-retry.
 */

import { URLExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { IFrame } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { PanelLayout, Widget } from '@lumino/widgets';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Workbench } from '../model/workbench';

export interface IBoardOptions {
  readonly workbench: Workbench;
  /** Of the job. */
  readonly id: string;
  readonly trans: TranslationBundle;
  /** Milliseconds between two looks whether it is there, and until nobody waits any more. */
  readonly every?: number;
  readonly longest?: number;
}

export class BoardPane extends Widget {
  constructor(readonly options: IBoardOptions) {
    super();
    this.addClass('gw-pane');
    this.node.dataset['testid'] = 'gw-board';
    this.node.dataset['job'] = options.id;
    this._words.addClass('gw-pane-words');
    this._words.node.dataset['testid'] = 'gw-board-words';
    this._words.node.setAttribute('role', 'status');
    const layout = new PanelLayout();
    layout.addWidget(this._words);
    this.layout = layout;
  }

  /** "TensorBoard: train.py" */
  get label(): string {
    const { workbench, id, trans } = this.options;
    return trans.__('TensorBoard: %1', workbench.jobs.get(id)?.name ?? id);
  }

  override dispose(): void {
    clearTimeout(this._timer);
    super.dispose();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.ask();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.ask();
  }

  /** Have it started, or find it running. */
  private ask(): void {
    if (!this._asking && this.isVisible) {
      this._asking = true;
      void this.start(Date.now() + (this.options.longest ?? 90_000));
    }
  }

  private async start(until: number): Promise<void> {
    const { workbench, id, trans } = this.options;
    try {
      const board = await workbench.api.openBoard(id);
      if (this.isDisposed) {
        return;
      }
      if (board.ready) {
        this._asking = false;
        this.showFrame(URLExt.join(workbench.api.settings.baseUrl, board.path));
      } else if (Date.now() > until) {
        this._asking = false;
        this.fail({
          message: trans.__('TensorBoard did not come up.'),
          hint: trans.__('What it said is in the folder “board” of the job’s directory.')
        });
      } else {
        this.wait();
        this._timer = setTimeout(() => void this.start(until), this.options.every ?? 700);
      }
    } catch (reason) {
      this._asking = false;
      if (!this.isDisposed) {
        this.fail(asApiError(reason));
      }
    }
  }

  private showFrame(url: string): void {
    this.node.dataset['state'] = 'ready';
    this._words.hide();
    if (this._frame) {
      return;
    }
    // Its pages are this server's, and need its login to ask for what they draw.
    this._frame = new IFrame({
      sandbox: ['allow-scripts', 'allow-same-origin', 'allow-downloads', 'allow-forms']
    });
    this._frame.addClass('gw-pane-frame');
    this._frame.node.querySelector('iframe')?.setAttribute('title', this.label);
    this._frame.url = url;
    (this.layout as PanelLayout).addWidget(this._frame);
  }

  private wait(): void {
    this.withoutFrame('starting', this.options.trans.__('Starting TensorBoard…'));
  }

  private fail(problem: ApiError | { message: string; hint: string }): void {
    const { trans } = this.options;
    this.withoutFrame('failed', `${problem.message} ${problem.hint}`.trim());
    const retry = document.createElement('button');
    retry.className = 'gw-button';
    retry.dataset['testid'] = 'gw-board-retry';
    retry.textContent = trans.__('Try again');
    retry.addEventListener('click', () => {
      this.wait();
      this.ask();
    });
    this._words.node.append(document.createElement('br'), retry);
  }

  private withoutFrame(state: string, words: string): void {
    this._frame?.dispose();
    this._frame = null;
    this.node.dataset['state'] = state;
    this._words.node.textContent = words;
    this._words.show();
  }

  private _asking = false;
  private _frame: IFrame | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private readonly _words = new Widget();
}
