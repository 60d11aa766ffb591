/** Ready-made clusters above the form's cards: small, medium, large, and when each could be had. */

import React, { useEffect, useId } from 'react';

import type { Size } from '../model/presets';
import { isChosen } from '../model/presets';
import { units } from '../model/words';
import { useFollowed } from '../surface/follow';
import { Skeleton } from '../surface/parts';
import { useNow, usePanel } from './context';
import { whenWords } from './fields';

export function ClusterPresets(): React.ReactElement | null {
  const { form, presets, trans } = usePanel();
  const group = useId();
  const now = useNow();
  const state = useFollowed(form.changed, () => form.state);
  const known = useFollowed(presets.changed, () => presets.presets);
  useEffect(() => {
    void presets.read();
  }, [presets]);
  if (known === null) {
    return <Skeleton lines={1} />;
  }
  const words: Record<Size, string> = {
    small: trans.__('small'),
    medium: trans.__('medium'),
    large: trans.__('large')
  };
  return known.length === 0 ? null : (
    <div
      className="gw-cards gw-presets"
      role="radiogroup"
      aria-label={trans.__('Ready-made cluster')}
    >
      {known.map(preset => {
        const { card, size, workers } = preset;
        const chosen = isChosen(preset, state);
        const gb = Math.round(card.memory_gb * workers);
        return (
          <label
            key={size}
            className={`gw-card gw-mod-${card.when}${chosen ? ' gw-mod-chosen' : ''}`}
            title={[
              trans.__(
                '%1 workers of %2: %3 GB and %4 GPU together',
                workers,
                card.label,
                gb,
                units(card.units * workers)
              ),
              trans.__('pool %1', card.pool),
              card.reason
            ]
              .filter(Boolean)
              .join('\n')}
            data-testid="gw-preset"
            data-size={size}
            data-when={card.when}
          >
            <input
              type="radio"
              name={group}
              checked={chosen}
              onChange={() => {
                form.chooseCard(card);
                form.set({ count: workers, most: null });
              }}
            />
            <span className="gw-card-name">{words[size]}</span>
            <span className="gw-card-memory">{trans.__('%1 × %2', workers, card.label)}</span>
            <span className="gw-card-when">{whenWords(card, now, trans)}</span>
          </label>
        );
      })}
    </div>
  );
}
