/** One GPU: its name, its live figures, and a bar cut at its slices. */

import React from 'react';

import type { Gpu, SliceView } from '../api/types';
import { shortName } from '../model/paths';
import { countdown, gigabytes, memory, memoryOf, percent } from '../model/words';
import { useFollowed } from '../surface/follow';
import { usePanel } from './context';

/** Pixels of a row, for the windowed list; `style/fleet.css` keeps to it. */
export const GPU_ROW_HEIGHT = 52;

export function GpuRow(props: { gpu: Gpu }): React.ReactElement {
  const { gpu } = props;
  const { workbench, actions, trans } = usePanel();
  const { telemetry } = workbench;
  const reading = useFollowed(telemetry.sampled, () => telemetry.latest(gpu.uuid));
  const sick = gpu.health !== 'ok';
  return (
    <div className="gw-gpu" data-testid="gw-gpu" data-gpu={gpu.name} data-health={gpu.health}>
      <div className="gw-gpu-head">
        <button
          className="gw-link gw-gpu-name"
          title={trans.__('What it does, in the dashboard')}
          data-testid="gw-gpu-open"
          onClick={() => void actions.openDashboard(gpu.uuid)}
        >
          {gpu.name}
        </button>
        <span className="gw-gpu-model" title={gpu.model}>
          {gpu.model.replace(/^NVIDIA /, '')}
        </span>
        {gpu.mig && <span className="gw-tag">MIG</span>}
        {sick && (
          <span className="gw-tag gw-mod-sick">
            {gpu.health === 'lost' ? trans.__('lost') : trans.__('drained')}
          </span>
        )}
        <span className="gw-gpu-figures" data-testid="gw-gpu-figures">
          {reading
            ? trans.__(
                '%1 · %2/%3 GB',
                percent(reading.activity),
                reading.memory === null ? '–' : gigabytes(reading.memory),
                String(gpu.memory_gb)
              )
            : trans.__('%1 GB', String(gpu.memory_gb))}
        </span>
      </div>
      <div
        className={`gw-bar${sick ? ' gw-mod-drained' : ''}`}
        role="group"
        aria-label={trans.__('%1, %2, %3 GB', gpu.name, gpu.model, String(gpu.memory_gb))}
      >
        {gpu.segments.map((segment, i) => (
          <Segment key={segment.slice_id ?? `free-${i}`} gpu={gpu} segment={segment} />
        ))}
      </div>
    </div>
  );
}

function Segment(props: { gpu: Gpu; segment: SliceView }): React.ReactElement {
  const { gpu, segment } = props;
  const panel = usePanel();
  const { workbench, form, cards, trans } = panel;
  const { telemetry } = workbench;
  const { slice_id } = segment;
  const reading = useFollowed(telemetry.sampled, () =>
    slice_id === null ? null : telemetry.latest(slice_id)
  );
  const state = slice_id === null ? 'free' : segment.mine ? 'mine' : 'others';
  const offer = gpu.health === 'ok' ? segment.offer : null;
  const title = useTitle(gpu, segment, reading?.activity ?? null, reading?.memory ?? null);
  const common = {
    className: `gw-segment gw-mod-${state}`,
    style: { flexGrow: segment.units, flexBasis: 0 },
    title,
    'aria-label': title.replaceAll('\n', ', '),
    'data-testid': 'gw-segment',
    'data-state': state,
    'data-profile': segment.profile
  };
  const filled = reading?.memory ? Math.min(1, reading.memory / segment.memory_bytes) : 0;
  const inner = (
    <>
      <span className="gw-segment-fill" style={{ width: `${filled * 100}%` }} />
      <span
        className="gw-segment-activity"
        style={{ width: `${(reading?.activity ?? 0) * 100}%` }}
      />
      <span className="gw-segment-label gw-mod-long">{segment.label}</span>
      <span className="gw-segment-label gw-mod-short">{segment.label.split('.')[0] || '·'}</span>
    </>
  );
  if (offer) {
    return (
      <button
        {...common}
        aria-label={trans.__('%1. Choose it for the request.', common['aria-label'])}
        onClick={() => form.chooseOffer(offer, gpu.pool, cards.cards ?? [])}
      >
        {inner}
      </button>
    );
  }
  return (
    <span {...common} role="img">
      {inner}
    </span>
  );
}

function useTitle(
  gpu: Gpu,
  segment: SliceView,
  activity: number | null,
  used: number | null
): string {
  const { workbench, preferences, trans } = usePanel();
  const size = memory(segment.memory_bytes);
  if (segment.slice_id === null) {
    return gpu.health === 'ok'
      ? trans.__('%1 on %2: free, %3', segment.label, gpu.name, size)
      : trans.__('%1 on %2: not available', segment.label, gpu.name);
  }
  const who = segment.mine
    ? trans.__('mine')
    : preferences().showNames && segment.holder
      ? shortName(segment.holder)
      : trans.__('in use by somebody else');
  const lines = [trans.__('%1 on %2: %3', segment.label, gpu.name, who)];
  if (segment.mine && segment.holder) {
    lines.push(shortName(segment.holder));
  }
  lines.push(trans.__('memory %1', memoryOf(trans, used, segment.memory_bytes)));
  lines.push(trans.__('activity %1', percent(activity)));
  if (segment.ends_at !== null) {
    lines.push(trans.__('%1 left', countdown(segment.ends_at - workbench.clock.now)));
  }
  return lines.join('\n');
}
