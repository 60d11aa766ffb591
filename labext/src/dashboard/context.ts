/** What every component of the dashboard can reach, and how it follows the model. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { createContext, useContext, useEffect, useReducer } from 'react';

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

/** Render again when the signal tells, at most once in `every` milliseconds (once a frame with 0). */
export function useTold(signal: ISignal<unknown, unknown>, every = 0): void {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let frame = 0;
    const render = (): void => {
      timer = undefined;
      frame = 0;
      again();
    };
    const told = (): void => {
      if (every > 0) {
        timer ??= setTimeout(render, every);
      } else {
        frame = frame || requestAnimationFrame(render);
      }
    };
    signal.connect(told);
    return () => {
      signal.disconnect(told);
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    };
  }, [signal, every]);
}
