/** A canvas knows no CSS variables: colours are read from the page, again when the theme changes. */

import type { IInk } from './heatmap';

export interface IColours {
  readonly activity: string;
  readonly activityFill: string;
  readonly memory: string;
}

export function coloursOf(host: Element): IColours {
  const read = reader(host);
  const activity = read('--jp-brand-color1', 'gray');
  return { activity, activityFill: faint(activity), memory: read('--jp-ui-font-color2', 'gray') };
}

/** A third of the colour; only "#rrggbb" can be thinned without drawing it first. */
export function faint(colour: string): string {
  return /^#[\da-f]{6}$/i.test(colour) ? `${colour}55` : 'transparent';
}

/** The colour of what is not meant in the first place, as far as "#rrggbb" can be made paler. */
export function pale(colour: string): string {
  return /^#[\da-f]{6}$/i.test(colour) ? `${colour}88` : colour;
}

/** Lines that colour-blind people tell apart (after Okabe and Ito), by how light the page is. */
const LINES = {
  light: ['#1668a8', '#c4501b', '#00785c', '#8b4a9c', '#5c6670'],
  dark: ['#6cb6f5', '#f4a261', '#45d0a8', '#cf9fe8', '#a8b3bd']
} as const;

/** Dashes that tell the lines apart where colours don't. */
export const DASHES: readonly number[][] = [[], [5, 3], [2, 2], [8, 3, 2, 3], [1, 3]];

export function isDark(): boolean {
  return document.body.dataset['jpThemeLight'] === 'false';
}

export function lineColour(index: number): string {
  const lines = LINES[isDark() ? 'dark' : 'light'];
  return lines[index % lines.length] ?? lines[0];
}

export function inkOf(host: Element): IInk {
  const read = reader(host);
  return {
    page: read('--jp-layout-color1', 'white'),
    text: read('--jp-ui-font-color1', 'black'),
    faint: read('--jp-ui-font-color2', 'gray'),
    border: read('--jp-border-color1', 'gray'),
    accent: read('--jp-brand-color1', 'blue'),
    warn: isDark() ? '#ffb74d' : '#e65100',
    error: read('--jp-error-color1', 'red'),
    font: read('--jp-ui-font-family', 'sans-serif')
  };
}

function reader(host: Element): (name: string, otherwise: string) => string {
  const style = getComputedStyle(host);
  return (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
}
