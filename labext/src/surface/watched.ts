/** A page in the main area as a widget of JupyterLab: awake while it can be seen, asleep otherwise. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';

/** Something that works only while it can be seen. */
export interface ISleeper {
  activate(awake: boolean): void;
  dispose(): void;
}

/** Tells its model whether anybody sees it; the model goes with it. */
export abstract class WatchedPage extends ReactWidget {
  constructor(
    private readonly sleeper: ISleeper,
    label: string,
    style: string
  ) {
    super();
    this.addClass(style);
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', label);
    document.addEventListener('visibilitychange', this.look);
  }

  override dispose(): void {
    if (!this.isDisposed) {
      document.removeEventListener('visibilitychange', this.look);
      this.sleeper.dispose();
      super.dispose();
    }
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.look();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.look();
  }

  protected override onAfterHide(msg: Message): void {
    super.onAfterHide(msg);
    this.look();
  }

  protected override onBeforeDetach(msg: Message): void {
    this.sleeper.activate(false);
    super.onBeforeDetach(msg);
  }

  private readonly look = (): void => {
    this.sleeper.activate(this.isVisible && !document.hidden);
  };
}
