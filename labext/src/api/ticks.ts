/**
 * Binary ticks of the WebSocket, read with the layouts that were told before them.
 *
 * docs/developer/telemetry.md describes the bytes. A row is found by its subject's id, a column by
 * its metric's name; unknown is NaN. It does not know what the metrics mean.
 */

import type { Layout } from './schema';

/** Subjects in rows, metrics in columns. */
export interface ITable {
  readonly ids: readonly string[];
  /** The row of each id. */
  readonly rows: ReadonlyMap<string, number>;
  /** By metric; NaN is unknown. */
  readonly columns: Readonly<Record<string, Float64Array>>;
  /** Of the columns whose values are places of labels, or (`throttle`) a bit for each. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

export interface ITick {
  /** Seconds since the epoch, by the server's clock. */
  readonly time: number;
  /** `null` is the whole fleet in a few metrics; else the UUID of the one GPU with all of them. */
  readonly gpu: string | null;
  readonly gpus: ITable;
  readonly slices: ITable;
}

const VERSION = 1;
const HEADER = 16;
const WIDTH = { u8: 1, u16: 2, u32: 4, f32: 4, f64: 8 } as const;

export class TickReader {
  /** Take a `layout` event: it replaces the one of the same view and table. */
  learn(layout: Layout): void {
    for (const [id, known] of this._layouts) {
      if (known.layout.gpu === layout.gpu && known.layout.table === layout.table) {
        this._layouts.delete(id);
      }
    }
    this._layouts.set(layout.id, {
      layout,
      rows: new Map(layout.ids.map((id, row) => [id, row]))
    });
  }

  /** A new connection tells everything again. */
  forget(): void {
    this._layouts.clear();
  }

  /** `null` where the layouts are not known, or a newer server speaks. */
  read(message: ArrayBuffer): ITick | null {
    const bytes = new DataView(message);
    if (bytes.byteLength < HEADER || bytes.getUint8(0) !== VERSION) {
      return null;
    }
    const gpus = this._layouts.get(bytes.getUint16(2, true));
    const slices = this._layouts.get(bytes.getUint16(4, true));
    if (!gpus || !slices) {
      return null;
    }
    const end = HEADER + sizeOf(gpus.layout);
    return {
      time: bytes.getFloat64(8, true),
      gpu: gpus.layout.gpu,
      gpus: tableOf(bytes, HEADER, gpus),
      slices: tableOf(bytes, Math.ceil(end / 8) * 8, slices)
    };
  }

  private _layouts = new Map<number, IKnown>();
}

interface IKnown {
  layout: Layout;
  rows: Map<string, number>;
}

function sizeOf(layout: Layout): number {
  return layout.ids.length * layout.columns.reduce((sum, { type }) => sum + WIDTH[type], 0);
}

function tableOf(bytes: DataView, start: number, { layout, rows }: IKnown): ITable {
  const columns: Record<string, Float64Array> = {};
  const labels: Record<string, readonly string[]> = {};
  for (const { name, type, scale, labels: words } of layout.columns) {
    const values = (columns[name] = new Float64Array(layout.ids.length));
    for (let row = 0; row < values.length; row++) {
      values[row] = raw(bytes, start + row * WIDTH[type], type) * scale;
    }
    start += values.length * WIDTH[type];
    if (words) {
      labels[name] = words;
    }
  }
  return { ids: layout.ids, rows, columns, labels };
}

function raw(bytes: DataView, at: number, type: keyof typeof WIDTH): number {
  switch (type) {
    case 'f64':
      return bytes.getFloat64(at, true);
    case 'f32':
      return bytes.getFloat32(at, true);
    case 'u32':
      return known(bytes.getUint32(at, true), 0xffffffff);
    case 'u16':
      return known(bytes.getUint16(at, true), 0xffff);
    case 'u8':
      return known(bytes.getUint8(at), 0xff);
  }
}

function known(value: number, unknown: number): number {
  return value === unknown ? NaN : value;
}
