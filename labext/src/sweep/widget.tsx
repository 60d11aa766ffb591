/** A sweep's page as a widget of JupyterLab. It asks nothing: events tell the model. */

import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { WordsContext } from '../surface/words';
import type { ISweepContext } from './page';
import { SweepPage } from './page';

export class SweepWidget extends ReactWidget {
  constructor(readonly context: ISweepContext) {
    super();
    this.addClass('gw-jobpage');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', context.trans.__('Sweep'));
  }

  protected override render(): React.ReactElement {
    return (
      <WordsContext.Provider value={this.context.trans}>
        <SweepPage context={this.context} />
      </WordsContext.Provider>
    );
  }
}
