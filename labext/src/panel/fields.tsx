/**
 * The fields of a request: profile cards, memory, count, duration. Shared by the panel's form and the
 * launcher's dialog, so they reach nothing but what they are given.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useId } from 'react';

import type { Card, Fleet } from '../api/types';
import type { CardsModel } from '../model/cards';
import type { FormModel, IFormState } from '../model/form';
import { fittingCard, leastCount } from '../model/form';
import { duration, shortExpected, units } from '../model/words';
import { Choice } from '../surface/choices';
import { useFollowed } from '../surface/follow';
import { Skeleton, Trouble } from '../surface/parts';

export interface IFieldsProps {
  form: FormModel;
  state: IFormState;
  trans: TranslationBundle;
}

/** The cards as they are known by now, or why they are not. */
export function Offer(
  props: IFieldsProps & { cards: CardsModel; now: number }
): React.ReactElement {
  const { cards, ...fields } = props;
  const offered = useFollowed(cards.changed, () => cards.cards);
  const problem = useFollowed(cards.changed, () => cards.problem);
  if (offered) {
    return <ProfileCards {...fields} cards={offered} />;
  }
  return problem ? (
    <Trouble problem={problem} retry={() => void cards.read()} />
  ) : (
    <Skeleton lines={2} />
  );
}

function ProfileCards(
  props: IFieldsProps & { cards: readonly Card[]; now: number }
): React.ReactElement {
  const { form, state, cards, now, trans } = props;
  const group = useId();
  const chosen = fittingCard(state, cards);
  const several = new Set(cards.map(card => card.pool)).size > 1;
  return (
    <div className="gw-cards" role="radiogroup" aria-label={trans.__('Profile')}>
      {cards.map(card => (
        <label
          key={`${card.pool}/${card.profile}`}
          className={`gw-card gw-mod-${card.when}${card === chosen ? ' gw-mod-chosen' : ''}`}
          title={cardTitle(card, trans)}
          data-testid="gw-card"
          data-profile={card.profile}
          data-pool={card.pool}
          data-when={card.when}
        >
          <input
            type="radio"
            name={group}
            checked={card === chosen}
            onChange={() => form.chooseCard(card)}
          />
          <span className="gw-card-name">{card.label}</span>
          <span className="gw-card-memory">{trans.__('%1 GB', String(card.memory_gb))}</span>
          {several && <span className="gw-card-pool">{card.pool}</span>}
          <span className="gw-card-when">{whenWords(card, now, trans)}</span>
        </label>
      ))}
    </div>
  );
}

/** When a card could be had, in the few letters that it has room for. */
export function whenWords(card: Card, now: number, trans: TranslationBundle): React.ReactNode {
  switch (card.when) {
    case 'now':
      return (
        <>
          <span className="gw-dot" aria-hidden="true" /> {trans.__('now')}
        </>
      );
    case 'queued':
      return (
        <>
          <span aria-hidden="true">◷ </span>
          {card.expected_at === null
            ? trans.__('queued')
            : shortExpected(trans, card.expected_at, now)}
        </>
      );
    case 'over_limit':
      return trans.__('over your limit');
    case 'never':
      return trans.__('not here');
  }
}

function cardTitle(card: Card, trans: TranslationBundle): string {
  const lines = [
    trans.__('%1: %2 GB, %3 GPU each', card.label, String(card.memory_gb), units(card.units)),
    trans.__('isolation: %1', card.tier),
    trans.__('pool %1', card.pool)
  ];
  return [...lines, card.reason].filter(Boolean).join('\n');
}

export function MemoryField(props: IFieldsProps & { faulty: boolean }): React.ReactElement {
  const { form, state, trans } = props;
  return (
    <label className="gw-field">
      <span>{trans.__('or memory')}</span>
      <input
        className="gw-input gw-mod-memory"
        value={state.memory}
        spellCheck={false}
        aria-invalid={props.faulty}
        data-testid="gw-form-memory"
        onChange={event => form.typeMemory(event.target.value)}
      />
    </label>
  );
}

export function CountField(props: IFieldsProps): React.ReactElement {
  const { form, state, trans } = props;
  const words = {
    kernel: trans.__('count'),
    cluster: trans.__('workers'),
    job: trans.__('ranks')
  };
  return (
    <label className="gw-field">
      <span>{words[state.purpose]}</span>
      <input
        className="gw-input gw-mod-count"
        type="number"
        min={leastCount(state)}
        max={1024}
        value={Number.isNaN(state.count) ? '' : state.count}
        data-testid="gw-form-count"
        onChange={event => form.set({ count: event.target.valueAsNumber })}
      />
    </label>
  );
}

const CHOICES = [900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400, 259_200, 604_800];

/** Times that one of the pools allows, and the one that the form has. */
export function DurationField(props: IFieldsProps & { fleet: Fleet | null }): React.ReactElement {
  const { form, state, fleet, trans } = props;
  const longest = Math.max(...(fleet?.pools.map(pool => pool.max_seconds) ?? []), 3600);
  const choices = [...new Set([...CHOICES.filter(one => one <= longest), state.seconds])];
  choices.sort((a, b) => a - b);
  return (
    <Choice
      label={trans.__('for')}
      value={state.seconds}
      testid="gw-form-duration"
      choose={value => form.set({ seconds: Number(value) })}
    >
      {choices.map(seconds => (
        <option key={seconds} value={seconds}>
          {duration(trans, seconds)}
        </option>
      ))}
    </Choice>
  );
}
