/**
 * Colours in a terminal's output: a line with escape sequences as pieces of one look each. No DOM.
 *
 * Only looks (SGR) are followed; sequences that move a cursor are left out. A look goes on over the
 * end of a line, so whoever splits lines hands it on.
 */

/** How a piece looks; colours are 0..15 of the palette, or "#rrggbb". */
export interface ILook {
  readonly bold?: boolean;
  readonly dim?: boolean;
  readonly italic?: boolean;
  readonly underline?: boolean;
  readonly inverse?: boolean;
  readonly ink?: number | string | undefined;
  readonly ground?: number | string | undefined;
}

export interface IPiece {
  readonly text: string;
  readonly look: ILook;
}

export const PLAIN: ILook = {};

/** Sequences: looks (captured), other CSI, OSC up to its end, two-letter ones. */
const ESCAPES =
  /\u001b(?:\[([\d;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

export function plain(line: string): string {
  return line.includes('\u001b') ? line.replace(ESCAPES, '') : line;
}

/** The look after a line that begins with `look`. */
export function lookAfter(line: string, look: ILook): ILook {
  if (!line.includes('\u001b')) {
    return look;
  }
  for (const found of line.matchAll(ESCAPES)) {
    if (found[1] !== undefined) {
      look = turned(look, found[1]);
    }
  }
  return look;
}

export function piecesOf(line: string, look: ILook): IPiece[] {
  const pieces: IPiece[] = [];
  let at = 0;
  const put = (text: string): void => {
    if (text) {
      pieces.push({ text, look });
    }
  };
  for (const found of line.matchAll(ESCAPES)) {
    put(line.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[1] !== undefined) {
      look = turned(look, found[1]);
    }
  }
  put(line.slice(at));
  return pieces;
}

function turned(look: ILook, codes: string): ILook {
  const numbers = codes.split(/[;:]/).map(Number);
  let next: ILook = look;
  for (let i = 0; i < numbers.length; i++) {
    const code = numbers[i] ?? 0;
    if (code === 38 || code === 48) {
      const [colour, used] = wideColour(numbers.slice(i + 1));
      next = code === 38 ? { ...next, ink: colour } : { ...next, ground: colour };
      i += used;
    } else {
      next = simple(next, code);
    }
  }
  return next;
}

function simple(look: ILook, code: number): ILook {
  const within = (from: number, to: number): boolean => code >= from && code <= to;
  switch (true) {
    case code === 0:
      return PLAIN;
    case code === 1:
      return { ...look, bold: true };
    case code === 2:
      return { ...look, dim: true };
    case code === 3:
      return { ...look, italic: true };
    case code === 4:
      return { ...look, underline: true };
    case code === 7:
      return { ...look, inverse: true };
    case code === 22:
      return { ...look, bold: false, dim: false };
    case code === 23:
      return { ...look, italic: false };
    case code === 24:
      return { ...look, underline: false };
    case code === 27:
      return { ...look, inverse: false };
    case within(30, 37):
      return { ...look, ink: code - 30 };
    case within(90, 97):
      return { ...look, ink: code - 82 };
    case within(40, 47):
      return { ...look, ground: code - 40 };
    case within(100, 107):
      return { ...look, ground: code - 92 };
    case code === 39:
      return { ...look, ink: undefined };
    case code === 49:
      return { ...look, ground: undefined };
    default:
      return look;
  }
}

/** What follows 38 or 48, and how many numbers of it were read. */
function wideColour(rest: readonly number[]): [number | string, number] {
  if (rest[0] === 2) {
    return [hex(rest[1], rest[2], rest[3]), 4];
  }
  const index = rest[1] ?? 0;
  if (index < 16) {
    return [index, 2];
  }
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return [hex(grey, grey, grey), 2];
  }
  const part = (n: number): number => (n === 0 ? 0 : 55 + 40 * n);
  const cube = index - 16;
  return [hex(part(Math.floor(cube / 36)), part(Math.floor(cube / 6) % 6), part(cube % 6)), 2];
}

function hex(...parts: (number | undefined)[]): string {
  const two = (n = 0): string => Math.min(255, Math.max(0, n)).toString(16).padStart(2, '0');
  return `#${parts.map(two).join('')}`;
}
