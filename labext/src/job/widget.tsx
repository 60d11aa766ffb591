/** A job's page as a widget of JupyterLab: awake while it can be seen, asleep otherwise. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { WordsContext } from '../panel/context';
import type { IJobContext } from './context';
import { JobContext } from './context';
import { JobPage } from './page';

/** Something that works only while it can be seen. */
export interface ISleeper {
  activate(awake: boolean): void;
  dispose(): void;
}

/** A page in the main area that tells its model whether anybody sees it. */
export abstract class WatchedPage extends ReactWidget {
  constructor(
    private readonly sleeper: ISleeper,
    label: string
  ) {
    super();
    this.addClass('gw-jobpage');
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

export class JobWidget extends WatchedPage {
  constructor(readonly context: IJobContext) {
    super(context.model, context.trans.__('Training job'));
  }

  protected override render(): React.ReactElement {
    return (
      <JobContext.Provider value={this.context}>
        <WordsContext.Provider value={this.context.trans}>
          <JobPage />
        </WordsContext.Provider>
      </JobContext.Provider>
    );
  }
}
