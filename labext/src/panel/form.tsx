/** "Get a slice": what, how many, how long, what for, what it costs, and the button. */

import React, { useEffect, useRef, useState } from 'react';

import type { ApiError } from '../api/errors';
import { asApiError } from '../api/errors';
import type { Card, Quota } from '../api/types';
import type { Purpose } from '../model/form';
import { faultyField, fittingCard, mostWorkers } from '../model/form';
import { units } from '../model/words';
import { useFollowed } from '../surface/follow';
import { Meter, Section, Trouble } from '../surface/parts';
import { useNow, usePanel } from './context';
import { CountField, DurationField, MemoryField, Offer } from './fields';
import { ClusterPresets } from './presets';
import { PurposeFields } from './purpose';

/** Milliseconds that the answer stands; the lists below tell the rest. */
const SAID_FOR = 15_000;

export function RequestForm(): React.ReactElement {
  const panel = usePanel();
  const { workbench, form, cards, actions, trans } = panel;
  const state = useFollowed(form.changed, () => form.state);
  const offered = useFollowed(cards.changed, () => cards.cards);
  const fleet = useFollowed(workbench.changed, () => workbench.fleet);
  const now = useNow();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [said, setSaid] = useState('');

  useEffect(() => {
    const timer = said ? setTimeout(() => setSaid(''), SAID_FOR) : undefined;
    return () => clearTimeout(timer);
  }, [said]);

  const faulty = faultyField(state);
  const chosen = fittingCard(state, offered ?? []);
  const cost = chosen && state.count >= 0 ? chosen.units * state.count : null;
  const most = mostWorkers(state);
  const costMost = chosen && most !== null && most >= 1 ? chosen.units * most : null;
  const fields = { form, state, trans };

  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const look = (): void => {
      requestAnimationFrame(() => button.current?.focus()); // Once it is unfolded.
    };
    form.filled.connect(look);
    return () => void form.filled.disconnect(look);
  }, [form]);

  const submit = (): void => {
    setBusy(true);
    setProblem(null);
    setSaid('');
    actions
      .submit()
      .then(setSaid, (reason: unknown) => setProblem(asApiError(reason)))
      .finally(() => setBusy(false));
  };

  return (
    <Section title={trans.__('Get a slice')} name="request" opens={form.filled}>
      <form
        className="gw-form"
        onSubmit={event => {
          event.preventDefault();
          submit();
        }}
      >
        <PurposeToggle />
        {state.purpose === 'cluster' && <ClusterPresets />}
        <Offer {...fields} cards={cards} now={now} />
        <div className="gw-row">
          <MemoryField {...fields} faulty={faulty === 'memory'} />
          <CountField {...fields} />
        </div>
        <PurposeFields />
        <div className="gw-row">
          <DurationField {...fields} fleet={fleet} />
          <span className="gw-cost" data-testid="gw-form-cost">
            {cost === null
              ? ''
              : costMost === null
                ? trans.__('costs %1 GPU', units(cost))
                : trans.__('costs %1 to %2 GPU', units(cost), units(costMost))}
          </span>
        </div>
        <Quotas cost={costMost ?? cost ?? 0} />
        <div className="gw-row">
          <button
            className="gw-button gw-mod-primary"
            ref={button}
            type="submit"
            disabled={busy || faulty !== null}
            data-testid="gw-form-submit"
          >
            {busy ? trans.__('Asking…') : submitWords(state.purpose, chosen, trans)}
          </button>
          <Hint faulty={faulty} chosen={chosen} />
        </div>
      </form>
      {problem && <Trouble problem={problem} dismiss={() => setProblem(null)} />}
      <div className="gw-said" role="status" aria-live="polite" data-testid="gw-said">
        {said}
      </div>
    </Section>
  );
}

function submitWords(
  purpose: Purpose,
  card: Card | null,
  trans: ReturnType<typeof usePanel>['trans']
): string {
  if (card?.when === 'queued') {
    return trans.__('Request and wait');
  }
  return {
    kernel: trans.__('Request'),
    cluster: trans.__('Start cluster'),
    job: trans.__('Start job')
  }[purpose];
}

/** Why the button can't be pressed, or what pressing it will mean. */
function Hint(props: {
  faulty: ReturnType<typeof faultyField>;
  chosen: Card | null;
}): React.ReactElement | null {
  const { trans } = usePanel();
  const words = {
    memory: trans.__('Write a memory, for example 20 GB.'),
    count: trans.__('At least 1.'),
    most: trans.__('It may grow to no fewer workers than it begins with.'),
    script: trans.__('Which script?')
  };
  const text = props.faulty
    ? words[props.faulty]
    : props.chosen && props.chosen.when !== 'now'
      ? props.chosen.reason
      : '';
  return text ? <span className="gw-hint">{text}</span> : null;
}

function PurposeToggle(): React.ReactElement {
  const { form, trans } = usePanel();
  const purpose = useFollowed(form.changed, () => form.state.purpose);
  const choices: [Purpose, string][] = [
    ['kernel', trans.__('Notebook')],
    ['cluster', trans.__('Cluster')],
    ['job', trans.__('Job')]
  ];
  return (
    <div className="gw-toggle" role="radiogroup" aria-label={trans.__('What for')}>
      {choices.map(([one, label]) => (
        <label key={one} className={one === purpose ? 'gw-mod-chosen' : ''}>
          <input
            type="radio"
            name="gw-purpose"
            checked={one === purpose}
            data-testid={`gw-form-purpose-${one}`}
            onChange={() => form.choosePurpose(one)}
          />
          {label}
        </label>
      ))}
    </div>
  );
}

function Quotas(props: { cost: number }): React.ReactElement | null {
  const { workbench, trans } = usePanel();
  const status = useFollowed(workbench.changed, () => workbench.status);
  const bound = (status?.quotas ?? []).filter(
    (quota): quota is Quota & { limit: number } => quota.limit !== null
  );
  if (!status || bound.length === 0) {
    return null;
  }
  return (
    <div className="gw-quotas" data-testid="gw-quotas">
      {bound.map(quota => {
        const label =
          quota.scope === 'user' ? trans.__('your quota') : trans.__('group %1', quota.name);
        return (
          <div key={`${quota.scope} ${quota.name}`} className="gw-row">
            <span>{label}</span>
            <Meter
              label={label}
              share={quota.held / (quota.limit || 1)}
              extra={props.cost / (quota.limit || 1)}
            />
            <span>{trans.__('%1 of %2', units(quota.held), units(quota.limit))}</span>
          </div>
        );
      })}
    </div>
  );
}
