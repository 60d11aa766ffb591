/** The dashboard as a widget of JupyterLab: awake while it can be seen, asleep otherwise. */

import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import React from 'react';

import { WordsContext } from '../panel/context';
import type { IDashboardContext } from './context';
import { DashboardContext } from './context';
import { DashboardPage } from './page';

export class Dashboard extends ReactWidget {
  constructor(readonly context: IDashboardContext) {
    super();
    this.addClass('gw-dash');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', context.trans.__('GPU dashboard'));
    document.addEventListener('visibilitychange', this.look);
  }

  override dispose(): void {
    if (!this.isDisposed) {
      document.removeEventListener('visibilitychange', this.look);
      this.context.model.dispose();
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
    this.context.model.activate(false);
    super.onBeforeDetach(msg);
  }

  protected override render(): React.ReactElement {
    return (
      <DashboardContext.Provider value={this.context}>
        <WordsContext.Provider value={this.context.trans}>
          <DashboardPage />
        </WordsContext.Provider>
      </DashboardContext.Provider>
    );
  }

  private readonly look = (): void => {
    this.context.model.activate(this.isVisible && !document.hidden);
  };
}
