/**
 * Colours of a heat map: from "nothing happens" to "as much as can be". No DOM.
 *
 * Both ramps change in lightness from end to end, so that they are read right by colour-blind people
 * and on paper too: light themes go from pale to dark, dark themes from dark to bright.
 */

export type Rgb = readonly [number, number, number];

/** Yellow-green-blue as in ColorBrewer, which tests its ramps for colour-blind people. */
const ON_LIGHT: readonly Rgb[] = [
  [247, 247, 222],
  [199, 233, 180],
  [127, 205, 187],
  [44, 151, 190],
  [34, 94, 168],
  [12, 44, 110]
];

/** The order of matplotlib's viridis, with a floor that still stands out from a dark page. */
const ON_DARK: readonly Rgb[] = [
  [62, 54, 104],
  [58, 90, 140],
  [38, 130, 142],
  [53, 170, 120],
  [145, 210, 75],
  [250, 231, 60]
];

/** Steps of the table that a ramp is drawn from: finer than the eye tells apart. */
const STEPS = 64;

export class ColourScale {
  private readonly _fills: readonly string[];
  private readonly _inks: readonly string[];

  constructor(readonly dark: boolean) {
    const ramp = dark ? ON_DARK : ON_LIGHT;
    const colours = Array.from({ length: STEPS }, (_, i) => mix(ramp, i / (STEPS - 1)));
    this._fills = colours.map(css);
    this._inks = colours.map(ink);
  }

  /** @param share 0..1, clipped; the caller draws what is unknown (NaN) in another way */
  fill(share: number): string {
    return this._fills[step(share)] ?? '';
  }

  /** Black or white, whichever can be read on `fill(share)`. */
  ink(share: number): string {
    return this._inks[step(share)] ?? '';
  }

  /** For a legend. */
  gradient(): string {
    const stops = (this.dark ? ON_DARK : ON_LIGHT).map(css);
    return `linear-gradient(to right, ${stops.join(', ')})`;
  }
}

/** Relative luminance as WCAG counts it, 0..1. */
export function luminance([r, g, b]: Rgb): number {
  const linear = (v: number): number =>
    v <= 10.3 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}

function step(share: number): number {
  return Math.round(Math.min(1, Math.max(0, share)) * (STEPS - 1));
}

function mix(ramp: readonly Rgb[], share: number): Rgb {
  const at = share * (ramp.length - 1);
  const i = Math.min(ramp.length - 2, Math.floor(at));
  const [a, b] = [ramp[i] as Rgb, ramp[i + 1] as Rgb];
  const part = (k: 0 | 1 | 2): number => Math.round(a[k] + (b[k] - a[k]) * (at - i));
  return [part(0), part(1), part(2)];
}

function ink(colour: Rgb): string {
  const light = luminance(colour);
  // The contrast with white is 1.05 / (L + 0.05), with black (L + 0.05) / 0.05.
  return 1.05 / (light + 0.05) > (light + 0.05) / 0.05 ? '#ffffff' : '#000000';
}

function css([r, g, b]: Rgb): string {
  return `rgb(${r}, ${g}, ${b})`;
}
