/** What every component of the dashboard can reach. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { createContext, useContext } from 'react';

import type { DashboardModel } from './model';

export interface IDashboardContext {
  readonly model: DashboardModel;
  /** Whether the fleet shows who holds what, where the server tells. */
  readonly showNames: () => boolean;
  /** Show the panel, at that lease where there is one. */
  readonly openPanel: (lease: number | null) => void;
  /** Emits when colours have to be read again. */
  readonly themeChanged: ISignal<unknown, unknown> | null;
  readonly trans: TranslationBundle;
}

export const DashboardContext = createContext<IDashboardContext | null>(null);

export function useDashboard(): IDashboardContext {
  const context = useContext(DashboardContext);
  if (!context) {
    throw new Error('A component of the dashboard is used outside of it.');
  }
  return context;
}
