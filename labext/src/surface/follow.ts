/** How a component follows what it shows: it renders again when a signal tells. No fetching here. */

import type { ISignal } from '@lumino/signaling';
import { useCallback, useEffect, useReducer, useSyncExternalStore } from 'react';

/**
 * Follow a value of the model. `read` must return the same object until something changed, as all
 * getters of the model do.
 */
export function useFollowed<T>(signal: ISignal<unknown, unknown>, read: () => T): T {
  const subscribe = useCallback(
    (told: () => void) => {
      const slot = (): void => told();
      signal.connect(slot);
      return () => {
        signal.disconnect(slot);
      };
    },
    [signal]
  );
  return useSyncExternalStore(subscribe, read);
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
