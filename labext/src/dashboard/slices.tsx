/**
 * The slices of a GPU beside each other, as wide as they are large: whose, how full, how busy, and
 * what their SMs do where that is told of each. One of them can be picked for the charts.
 */

import React from 'react';

import type { Gpu, SliceView } from '../api/types';
import type { MetricId } from '../model/metrics';
import { nameOf, written } from '../model/metrics';
import { shortName } from '../model/paths';
import { countdown, gigabytes, memory, profileName } from '../model/words';
import { useTold } from '../surface/follow';
import { Meter } from '../surface/parts';
import { useDashboard } from './context';
import { lookOf } from './feed';

/** Only where they are told: GPM knows each MIG instance. */
const SHARES: readonly MetricId[] = [
  'sm_activity',
  'tensor_activity',
  'dram_activity',
  'sm_occupancy'
];

export function Slices(props: { gpu: Gpu }): React.ReactElement {
  const { model, trans } = useDashboard();
  useTold(model.drawn, 500);
  const { gpu } = props;
  return (
    <ul className="gw-slices" aria-label={trans.__('Slices of %1', gpu.name)}>
      {gpu.segments.map((segment, i) => (
        <Slice key={segment.slice_id ?? `free-${i}`} segment={segment} />
      ))}
    </ul>
  );
}

function Slice(props: { segment: SliceView }): React.ReactElement {
  const { model, trans, showNames, openPanel } = useDashboard();
  const { segment } = props;
  const { slice_id, lease_id } = segment;
  const state = slice_id === null ? 'free' : segment.mine ? 'mine' : 'others';
  // The charts and bars of a whole GPU are those of its only slice.
  const part = slice_id !== null && segment.profile !== 'whole';
  const picked = part && model.slice?.slice_id === slice_id;
  const common = {
    className: `gw-slice gw-mod-${state}${picked ? ' gw-mod-picked' : ''}`,
    style: { flexGrow: Math.max(0.08, segment.units) },
    'data-testid': 'gw-slice',
    'data-slice': slice_id ?? ''
  };
  const size = (
    <div className="gw-slice-head">
      {part ? (
        <button
          className="gw-link"
          aria-pressed={picked}
          title={picked ? trans.__('Charts of the whole GPU') : trans.__('Charts of this slice')}
          data-testid="gw-slice-pick"
          onClick={() => model.show({ slice: picked ? null : slice_id, process: null })}
        >
          <b>{profileName(segment.profile)}</b>
        </button>
      ) : (
        <b>{profileName(segment.profile)}</b>
      )}
      <span>{memory(segment.memory_bytes)}</span>
    </div>
  );
  if (slice_id === null) {
    return (
      <li {...common}>
        {size}
        <span className="gw-slice-who">{trans.__('free')}</span>
      </li>
    );
  }
  const look = lookOf(model.workbench.telemetry);
  const [activity, used] = [look.value(slice_id, 'activity'), look.value(slice_id, 'memory_bytes')];
  const shares = (part ? SHARES : SHARES.slice(0, 1)).map(metric => ({
    metric,
    share: look.value(slice_id, metric)
  }));
  const who =
    segment.holder && (segment.mine || showNames())
      ? shortName(segment.holder)
      : segment.mine
        ? trans.__('mine, unused')
        : trans.__('somebody else');
  return (
    <li {...common}>
      {size}
      {segment.mine ? (
        <button
          className="gw-link gw-slice-who"
          title={segment.holder ?? who}
          onClick={() => openPanel(lease_id)}
        >
          {who}
        </button>
      ) : (
        <span className="gw-slice-who" title={segment.holder ?? who}>
          {who}
        </span>
      )}
      <Figure
        name={nameOf(trans, 'activity')}
        share={activity}
        text={written('share', activity)}
        testid="gw-slice-use"
      />
      {shares.map(
        ({ metric, share }) =>
          !Number.isNaN(share) && (
            <Figure
              key={metric}
              name={nameOf(trans, metric)}
              share={share}
              text={written('share', share)}
              testid={`gw-slice-${metric}`}
            />
          )
      )}
      <Figure
        name={nameOf(trans, 'memory_bytes')}
        share={used / segment.memory_bytes}
        text={Number.isNaN(used) ? '–' : `${gigabytes(used)} GB`}
        testid="gw-slice-memory"
      />
      {segment.ends_at !== null && (
        <span className="gw-slice-left">
          {trans.__('%1 left', countdown(segment.ends_at - model.workbench.clock.now))}
        </span>
      )}
    </li>
  );
}

function Figure(props: {
  name: string;
  share: number;
  text: string;
  testid?: string;
}): React.ReactElement {
  const { name, share, text } = props;
  return (
    <div className="gw-slice-figure">
      <span>{name}</span>
      {Number.isNaN(share) ? (
        <span className="gw-meter gw-mod-unknown" aria-hidden="true" />
      ) : (
        <Meter label={name} share={share} />
      )}
      <b data-testid={props.testid}>{text}</b>
    </div>
  );
}
