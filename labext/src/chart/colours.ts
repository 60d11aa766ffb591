/** A canvas knows no CSS variables: colours are read from the page, again when the theme changes. */

export interface IColours {
  readonly activity: string;
  readonly activityFill: string;
  readonly memory: string;
}

export function coloursOf(host: Element): IColours {
  const style = getComputedStyle(host);
  const read = (name: string, otherwise: string): string =>
    style.getPropertyValue(name).trim() || otherwise;
  const activity = read('--jp-brand-color1', 'gray');
  return { activity, activityFill: faint(activity), memory: read('--jp-ui-font-color2', 'gray') };
}

/** A third of the colour; only "#rrggbb" can be thinned without drawing it first. */
export function faint(colour: string): string {
  return /^#[\da-f]{6}$/i.test(colour) ? `${colour}55` : 'transparent';
}
