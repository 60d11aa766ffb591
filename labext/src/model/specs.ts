/** A job's spec as lines of text, and in what two of them differ. No DOM. */

import type { JobSpec } from '../api/types';

/** Kept out of sight: bytes that nobody reads. */
const UNREAD: readonly string[] = ['function_b64', 'version'];

/** Name and value of whatever was said, in the spec's own order. */
export function specLines(spec: JobSpec): [string, string][] {
  return Object.entries(spec)
    .filter(([name, value]) => !UNREAD.includes(name) && !isEmpty(value))
    .map(([name, value]) => [name, valueText(value)]);
}

/** A field in which some of the specs differ: its name and the value in each, "–" where there is none. */
export interface IDifference {
  readonly name: string;
  readonly values: readonly string[];
}

export function differences(specs: readonly JobSpec[]): IDifference[] {
  const all = specs.map(spec => new Map(spec ? flat(spec) : []));
  const names = [...new Set(all.flatMap(one => [...one.keys()]))];
  return names
    .map(name => ({ name, values: all.map(one => one.get(name) ?? '–') }))
    .filter(({ values }) => new Set(values).size > 1);
}

/** Arguments and variables one by one, so that the one that changed stands out. */
function flat(spec: JobSpec): [string, string][] {
  return specLines(spec).flatMap(([name, value]): [string, string][] => {
    if (name === 'args') {
      return argPairs(spec.args);
    }
    if (name === 'env') {
      return Object.entries(spec.env).map(([key, text]) => [`env ${key}`, String(text)]);
    }
    return [[name, value]];
  });
}

/** "--lr 0.1 --fast data" as (--lr, 0.1), (--fast, yes), (args, data). */
function argPairs(args: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  const rest: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const [word, next] = [args[i] ?? '', args[i + 1]];
    if (!word.startsWith('-')) {
      rest.push(word);
    } else if (word.includes('=')) {
      const at = word.indexOf('=');
      pairs.push([word.slice(0, at), word.slice(at + 1)]);
    } else if (next !== undefined && !/^--?[a-z]/i.test(next)) {
      pairs.push([word, next]);
      i += 1;
    } else {
      pairs.push([word, 'yes']);
    }
  }
  return rest.length ? [...pairs, ['args', rest.join(' ')]] : pairs;
}

function isEmpty(value: unknown): boolean {
  return (
    value === null ||
    value === undefined ||
    value === 0 ||
    (Array.isArray(value) && value.length === 0) ||
    (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  );
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) {
    return value.map(one => quoted(String(one))).join(' ');
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([key, one]) => `${key}=${quoted(String(one))}`)
      .join(' ');
  }
  return String(value);
}

function quoted(word: string): string {
  return /[\s"']/.test(word) || word === '' ? JSON.stringify(word) : word;
}
