import { TickReader } from '../src/api/ticks';
import type { ITick, Layout } from '../src/api/types';
import made from './data/tick.json';

interface IGolden {
  layouts: Layout[];
  frame: string;
}

/** What the server's own encoder made: tests/unit/test_ticks.py writes it. */
const golden = made as Record<'fleet' | 'one', IGolden>;

function bytes({ frame }: IGolden): ArrayBuffer {
  return Uint8Array.from(atob(frame), letter => letter.charCodeAt(0)).buffer;
}

function seen(tick: ITick | null): ITick {
  if (!tick) {
    throw new Error('not read');
  }
  return tick;
}

function reader(...known: IGolden[]): TickReader {
  const kept = new TickReader();
  known.flatMap(one => one.layouts).forEach(layout => kept.learn(layout));
  return kept;
}

describe('a binary tick', () => {
  it('is read with its layouts, and unknown is NaN', () => {
    const { time, gpu, gpus, slices } = seen(reader(golden.fleet).read(bytes(golden.fleet)));
    expect(time).toBe(1_790_000_000.5);
    expect(gpu).toBeNull();
    expect(gpus.ids).toEqual(['GPU-0', 'GPU-1', 'GPU-2']);
    expect(gpus.columns.activity?.[0]).toBeCloseTo(0.874, 2);
    expect(gpus.columns.activity?.[1]).toBeNaN();
    expect(gpus.columns.activity?.[2]).toBe(0);
    expect(gpus.columns.memory_bytes?.[0]).toBe(70 * 2 ** 30);
    expect(gpus.columns.power_watts?.[0]).toBeCloseTo(612.3);
    expect(Array.from(gpus.columns.state ?? [], at => gpus.labels.state?.[at])).toEqual([
      'ok',
      'lost',
      'ok'
    ]);
    expect(slices.columns.memory_bytes?.[slices.rows.get('7.0') ?? -1]).toBe(5 * 2 ** 30);
    expect(slices.columns.activity?.[slices.rows.get('81.1') ?? -1]).toBeNaN();
  });

  it('has every metric of one GPU where that is asked for', () => {
    const tick = seen(reader(golden.fleet, golden.one).read(bytes(golden.one)));
    expect(tick.gpu).toBe('GPU-0');
    expect(tick.slices.ids).toEqual(['7.0']);
    const { columns, labels } = tick.gpus;
    expect(columns.xid?.[0]).toBe(79);
    expect(columns.energy_joules?.[0]).toBe(3.2e9);
    expect(columns.dram_activity?.[0]).toBeNaN();
    const bits = columns.throttle?.[0] ?? 0;
    expect(labels.throttle?.filter((_, bit) => (bits >> bit) & 1)).toEqual(['thermal']);
  });

  it('is left alone where its layouts are not known, or the server is newer', () => {
    expect(reader(golden.one).read(bytes(golden.fleet))).toBeNull();
    const newer = bytes(golden.fleet);
    new DataView(newer).setUint8(0, 2);
    expect(reader(golden.fleet).read(newer)).toBeNull();
    expect(reader(golden.fleet).read(new ArrayBuffer(3))).toBeNull();
  });

  it('needs the newest layout of a view: an older one is forgotten', () => {
    const kept = reader(golden.fleet);
    golden.fleet.layouts.forEach(layout => kept.learn({ ...layout, id: layout.id + 99 }));
    expect(kept.read(bytes(golden.fleet))).toBeNull();
  });
});
