/**
 * Parameters with several values each, as people type them, and all their combinations. No DOM.
 *
 * Values stand between commas; numbers may be a range: "1..8", "0..1 by 0.25", "1e-4..1e-1 x10".
 */

/** A row of the form, as typed. */
export interface IParameter {
  readonly name: string;
  readonly values: string;
}

/** What one run gets: a number where it reads like one; true and false are a flag or none. */
export type Point = Readonly<Record<string, string | number | boolean>>;

/** As many as one sweep may have. */
export const MOST_RUNS = 1000;

const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`;
const RANGE = new RegExp(
  `^(${NUMBER})\\.\\.(${NUMBER})(?:\\s+by\\s+(${NUMBER})|\\s*[x×*]\\s*(${NUMBER}))?$`
);
const NAME = /^-{0,2}[A-Za-z_][\w.-]*$/;

/** The values of a row in their order, each once; null where they can't be read. */
export function valuesOf(text: string): string[] | null {
  const found: string[] = [];
  for (const part of text.split(',').map(one => one.trim())) {
    const range = RANGE.exec(part);
    const values = range ? rangeOf(range) : part ? [part] : null;
    if (!values || found.length + values.length > MOST_RUNS) {
      return null;
    }
    found.push(...values);
  }
  return [...new Set(found)];
}

/** `lr` of "--lr"; null where that is no name. */
export function nameOfParameter(typed: string): string | null {
  const name = typed.trim();
  return NAME.test(name) ? name.replace(/^-+/, '') : null;
}

/** Every combination, the last parameter changing first; null where a row is not whole yet. */
export function pointsOf(rows: readonly IParameter[]): Point[] | null {
  let points: Point[] = [{}];
  for (const row of rows) {
    const [name, values] = [nameOfParameter(row.name), valuesOf(row.values)];
    if (name === null || values === null || (points[0] && name in points[0])) {
      return null;
    }
    if (points.length * values.length > MOST_RUNS) {
      return null;
    }
    points = points.flatMap(point => values.map(text => ({ ...point, [name]: readValue(text) })));
  }
  return rows.length ? points : null;
}

/** "lr=0.1 width=32". */
export function pointWords(point: Readonly<Record<string, unknown>>): string {
  return Object.entries(point)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ');
}

/** A script's arguments with those of a point instead of the same ones before. */
export function argsWith(args: readonly string[], point: Point): string[] {
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? '';
    const name = /^--([^=]+)/.exec(word)?.[1];
    if (name === undefined || !(name in point)) {
      words.push(word);
    } else if (!word.includes('=') && !(args[i + 1] ?? '-').match(/^--?[a-z]|^-$/i)) {
      i += 1; // Its value.
    }
  }
  for (const [name, value] of Object.entries(point)) {
    if (value !== false) {
      words.push(`--${name}`, ...(value === true ? [] : [String(value)]));
    }
  }
  return words;
}

function rangeOf(range: RegExpExecArray): string[] | null {
  const [first, last] = [Number(range[1]), Number(range[2])];
  const by = range[3] ?? (range[4] === undefined ? String(Math.sign(last - first) || 1) : null);
  if (
    range[3] === undefined &&
    by !== null &&
    !(Number.isInteger(first) && Number.isInteger(last))
  ) {
    return null; // "0.1..0.5" does not say how many.
  }
  const count =
    by === null ? Math.log(last / first) / Math.log(Number(range[4])) : (last - first) / Number(by);
  if (!Number.isFinite(count) || count < 0 || count >= MOST_RUNS) {
    return null;
  }
  return Array.from({ length: Math.floor(count + 1e-9) + 1 }, (_, i) => {
    const value = by === null ? first * Number(range[4]) ** i : first + i * Number(by);
    return String(Number(value.toPrecision(12)));
  });
}

function readValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') {
    return text === 'true';
  }
  return new RegExp(`^${NUMBER}$`).test(text) ? Number(text) : text;
}
