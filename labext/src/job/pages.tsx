/** The other pages of jobs as widgets of JupyterLab: the comparison and the form. */

import React from 'react';

import { WordsContext } from '../panel/context';
import { ComparePage } from './compare';
import type { ICompareContext } from './comparison';
import type { IJobFormContext } from './formfields';
import { NewJobPage } from './newjob';
import { WatchedPage } from './widget';

export class CompareWidget extends WatchedPage {
  constructor(readonly context: ICompareContext) {
    super(context.model, context.trans.__('Comparison of jobs'));
  }

  protected override render(): React.ReactElement {
    return (
      <WordsContext.Provider value={this.context.trans}>
        <ComparePage context={this.context} />
      </WordsContext.Provider>
    );
  }
}

export class NewJobWidget extends WatchedPage {
  constructor(readonly context: IJobFormContext) {
    super(context.cards, context.trans.__('New training job'));
  }

  protected override render(): React.ReactElement {
    return (
      <WordsContext.Provider value={this.context.trans}>
        <NewJobPage context={this.context} />
      </WordsContext.Provider>
    );
  }
}
