/** What the user set in JupyterLab's settings, with the defaults of `schema/plugin.json`. */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';

export interface IPreferences {
  /** What the form asks for at first: "20 GB". */
  readonly memory: string;
  readonly hours: number;
  /** Seconds between reads where no WebSocket can be had. */
  readonly pollSeconds: number;
  /** Whether the fleet shows who holds what, where the server tells. */
  readonly showNames: boolean;
  /** Whether a notice is shown when a waiting request is granted. */
  readonly notifyGrants: boolean;
}

export const DEFAULTS: IPreferences = {
  memory: '20 GB',
  hours: 2,
  pollSeconds: 10,
  showNames: true,
  notifyGrants: true
};

export function preferencesOf(settings: ISettingRegistry.ISettings): IPreferences {
  const read = <K extends keyof IPreferences>(key: K): IPreferences[K] => {
    const value = settings.composite[key];
    return typeof value === typeof DEFAULTS[key] ? (value as IPreferences[K]) : DEFAULTS[key];
  };
  return {
    memory: read('memory'),
    hours: read('hours'),
    pollSeconds: read('pollSeconds'),
    showNames: read('showNames'),
    notifyGrants: read('notifyGrants')
  };
}
