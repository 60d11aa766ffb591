/** The pages of jobs as widgets of JupyterLab: one job's, the comparison and the form. */

import React from 'react';

import { WatchedPage } from '../surface/watched';
import { WordsContext } from '../surface/words';
import { ComparePage } from './compare';
import type { ICompareContext } from './comparison';
import type { IJobContext } from './context';
import { JobContext } from './context';
import type { IJobFormContext } from './formfields';
import { NewJobPage } from './newjob';
import { JobPage } from './page';

const STYLE = 'gw-jobpage';

export class JobWidget extends WatchedPage {
  constructor(readonly context: IJobContext) {
    super(context.model, context.trans.__('Training job'), STYLE);
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

export class CompareWidget extends WatchedPage {
  constructor(readonly context: ICompareContext) {
    super(context.model, context.trans.__('Comparison of jobs'), STYLE);
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
    super(context.cards, context.trans.__('New training job'), STYLE);
  }

  protected override render(): React.ReactElement {
    return (
      <WordsContext.Provider value={this.context.trans}>
        <NewJobPage context={this.context} />
      </WordsContext.Provider>
    );
  }
}
