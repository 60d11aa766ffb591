/** The launcher's small question: which slice, for how long? The form's own fields, in a dialog. */

import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { CardsModel } from '../model/cards';
import type { IFormState } from '../model/form';
import { FormModel, faultyField, fittingCard, resolved } from '../model/form';
import { units } from '../model/words';
import type { Workbench } from '../model/workbench';
import { DurationField, MemoryField, Offer } from '../panel/fields';
import { useFollowed } from '../surface/follow';
import { WordsContext } from '../surface/words';

export class SliceQuestion extends ReactWidget implements Dialog.IBodyWidget<IFormState> {
  constructor(
    private readonly workbench: Workbench,
    start: Partial<IFormState>,
    private readonly trans: TranslationBundle,
    /** What happens to a request that has to wait. */
    private readonly waits: string = trans.__('The notebook opens when the slice is yours.'),
    /** What will be done, where that is not plain. */
    private readonly what: string = ''
  ) {
    super();
    this.addClass('gw-dialog');
    this.form = new FormModel({ ...start, purpose: 'kernel', count: 1, target: { kind: 'new' } });
    this.cards = new CardsModel(workbench, this.form);
    void this.cards.read();
  }

  getValue(): IFormState {
    return resolved(this.form.state, this.cards.cards);
  }

  override dispose(): void {
    this.cards.dispose();
    super.dispose();
  }

  protected override render(): React.ReactElement {
    return (
      <WordsContext.Provider value={this.trans}>
        <Question
          workbench={this.workbench}
          form={this.form}
          cards={this.cards}
          trans={this.trans}
          waits={this.waits}
          what={this.what}
        />
      </WordsContext.Provider>
    );
  }

  private readonly form: FormModel;
  private readonly cards: CardsModel;
}

function Question(props: {
  workbench: Workbench;
  form: FormModel;
  cards: CardsModel;
  trans: TranslationBundle;
  waits: string;
  what: string;
}): React.ReactElement {
  const { workbench, form, cards, trans, waits, what } = props;
  const state = useFollowed(form.changed, () => form.state);
  const offered = useFollowed(cards.changed, () => cards.cards) ?? [];
  const chosen = fittingCard(state, offered);
  const fields = { form, state, trans };
  return (
    <div className="gw-form" data-testid="gw-dialog">
      {what && <p className="gw-reason">{what}</p>}
      <Offer {...fields} cards={cards} now={workbench.clock.now} />
      <div className="gw-row">
        <MemoryField {...fields} faulty={faultyField(state) === 'memory'} />
        <DurationField {...fields} fleet={workbench.fleet} />
        <span className="gw-cost">
          {chosen ? trans.__('costs %1 GPU', units(chosen.units)) : ''}
        </span>
      </div>
      <p className="gw-hint" role="status">
        {chosen?.when === 'queued' ? `${chosen.reason} ${waits}` : (chosen?.reason ?? '')}
      </p>
    </div>
  );
}
