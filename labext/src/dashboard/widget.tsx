/** The dashboard as a widget of JupyterLab. */

import React from 'react';

import { WatchedPage } from '../surface/watched';
import { WordsContext } from '../surface/words';
import type { IDashboardContext } from './context';
import { DashboardContext } from './context';
import { DashboardPage } from './page';

export class Dashboard extends WatchedPage {
  constructor(readonly context: IDashboardContext) {
    super(context.model, context.trans.__('GPU dashboard'), 'gw-dash');
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
}
