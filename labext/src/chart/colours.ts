/** A canvas knows no CSS variables: colours are read from the page, again when the theme changes. */

export interface IColours {
  readonly activity: string;
  readonly activityFill: string;
  readonly memory: string;
  readonly rule: string;
}

export function coloursOf(host: Element): IColours {
  const style = getComputedStyle(host);
  const read = (name: string, otherwise: string): string =>
    style.getPropertyValue(name).trim() || otherwise;
  return {
    activity: read('--jp-brand-color1', 'currentcolor'),
    activityFill: read('--jp-brand-color3', 'transparent'),
    memory: read('--jp-ui-font-color2', 'currentcolor'),
    rule: read('--jp-border-color2', 'currentcolor')
  };
}
