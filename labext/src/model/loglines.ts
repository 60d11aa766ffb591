/**
 * The lines of a growing log, and where something stands in them. No DOM, no fetching.
 *
 * Text comes in pieces that end anywhere. A carriage return writes over its line, as progress bars
 * do. Of a log that never ends the oldest lines are dropped.
 */

import type { ILook } from './ansi';
import { lookAfter, PLAIN, plain } from './ansi';

/** Characters kept; a line of a log has some hundred. */
export const MOST = 24_000_000;
/** A single line longer than this is cut into several. */
const LONGEST = 5000;

export class LogLines {
  /** Lines dropped at the front. */
  get dropped(): number {
    return this._dropped;
  }

  get length(): number {
    return this._lines.length + (this._open === '' ? 0 : 1);
  }

  /** A line with its escape sequences; the last one may still grow. */
  line(at: number): string {
    return this._lines[at] ?? (at === this._lines.length ? over(this._open) : '');
  }

  /** The look that a line begins with. */
  look(at: number): ILook {
    return this._looks[at] ?? (at === this._lines.length ? this._look : PLAIN);
  }

  append(text: string): void {
    const parts = (this._open + text).split('\n');
    this._open = parts.pop() ?? '';
    parts.forEach(line => this.put(line));
    while (this._open.length > LONGEST && !this._open.includes('\r')) {
      this.put(this._open.slice(0, LONGEST));
      this._open = this._open.slice(LONGEST);
    }
    if (this._size > MOST) {
      this.drop();
    }
  }

  /** Put what was written before in front; it ends with a whole line. */
  prepend(text: string): void {
    const before = new LogLines();
    before.append(text.endsWith('\n') ? text : `${text}\n`);
    this._lines = before._lines.concat(this._lines);
    this._looks = before._looks.concat(this._looks);
    this._size += before._size;
  }

  clear(): void {
    this._lines = [];
    this._looks = [];
    this._look = PLAIN;
    this._open = '';
    this._size = this._dropped = 0;
  }

  /** The places of all lines that hold `words`, capitals or not, from line `from` on. */
  find(words: string, from = 0): number[] {
    const wanted = words.toLowerCase();
    const found: number[] = [];
    for (let at = from; wanted && at < this.length; at++) {
      if (plain(this.line(at)).toLowerCase().includes(wanted)) {
        found.push(at);
      }
    }
    return found;
  }

  private put(raw: string): void {
    const line = over(raw);
    for (let at = 0; at === 0 || at < line.length; at += LONGEST) {
      const piece = line.slice(at, at + LONGEST);
      this._lines.push(piece);
      this._looks.push(this._look);
      this._look = lookAfter(piece, this._look);
    }
    this._size += line.length + 1;
  }

  /** A quarter goes at once, so that it is not moved with every line. */
  private drop(): void {
    let gone = 0;
    let count = 0;
    while (gone < MOST / 4 && count < this._lines.length) {
      gone += (this._lines[count]?.length ?? 0) + 1;
      count += 1;
    }
    this._lines = this._lines.slice(count);
    this._looks = this._looks.slice(count);
    this._size -= gone;
    this._dropped += count;
  }

  private _dropped = 0;
  private _lines: string[] = [];
  /** Of each line, the look it begins with; one shared object for most. */
  private _looks: ILook[] = [];
  /** After the last whole line. */
  private _look: ILook = PLAIN;
  /** What was written since the last end of a line. */
  private _open = '';
  private _size = 0;
}

/** What of a line stands at last, with carriage returns in it. */
function over(line: string): string {
  if (!line.includes('\r')) {
    return line;
  }
  const parts = line.split('\r').filter(Boolean);
  return parts.at(-1) ?? '';
}
