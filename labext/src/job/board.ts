/**
 * TensorBoard on one job in the main area: started when somebody looks, a sentence until it is there,
 * and what to do where it can't be had. It ends by itself; shown again, it is started again.
 *
 * `data-testid`: gw-board (`data-job`, `data-state`: starting | ready | failed), gw-board-words,
 * gw-board-retry.
 */

import { URLExt } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Workbench } from '../model/workbench';
import { FramePane } from '../surface/frame';

export interface IBoardOptions {
  readonly workbench: Workbench;
  /** Of the job. */
  readonly id: string;
  readonly trans: TranslationBundle;
  /** Milliseconds between two looks whether it is there, and until nobody waits any more. */
  readonly every?: number;
  readonly longest?: number;
}

export class BoardPane extends FramePane {
  constructor(readonly options: IBoardOptions) {
    super('gw-board');
    this.node.dataset['job'] = options.id;
    this.title.label = this.label;
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
        this.node.dataset['state'] = 'ready';
        this.showPage(URLExt.join(workbench.api.settings.baseUrl, board.path), this.label);
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

  private wait(): void {
    this.node.dataset['state'] = 'starting';
    this.say(this.options.trans.__('Starting TensorBoard…'));
  }

  private fail(problem: ApiError | { message: string; hint: string }): void {
    const { trans } = this.options;
    const retry = document.createElement('button');
    retry.className = 'gw-button';
    retry.dataset['testid'] = 'gw-board-retry';
    retry.textContent = trans.__('Try again');
    retry.addEventListener('click', () => {
      this.wait();
      this.ask();
    });
    this.node.dataset['state'] = 'failed';
    const words = `${problem.message} ${problem.hint}`.trim();
    this.say(words, document.createElement('br'), retry);
  }

  private _asking = false;
  private _timer: ReturnType<typeof setTimeout> | undefined;
}
