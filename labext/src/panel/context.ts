/** What every component of the panel can reach. No fetching here. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { createContext, useContext } from 'react';

import type { Job, Lease, Sweep } from '../api/types';
import type { IClusterActions } from '../cluster/actions';
import type { CardsModel } from '../model/cards';
import type { FormModel } from '../model/form';
import type { PresetsModel } from '../model/presets';
import type { IPreferences } from '../model/settings';
import type { Trails } from '../model/trails';
import type { Workbench } from '../model/workbench';
import { useFollowed } from '../surface/follow';

/** What people can do that needs more of JupyterLab than the model. All reject with `ApiError`. */
export interface IActions {
  /** Send the request form; resolves with a sentence that says what happened. */
  submit(): Promise<string>;
  /** Open a notebook on a lease that no kernel has taken. */
  startNotebook(lease: Lease): Promise<void>;
  /** Show what a lease is for, where there is something to show. */
  reveal(lease: Lease): Promise<void>;
  /** Ask whether to, then give the lease back. */
  release(lease: Lease): Promise<void>;
  readonly clusters: IClusterActions;
  stopJob(job: Job): Promise<void>;
  /** Show a job's page, at that tab. */
  openJob(job: Job, tab?: string): Promise<void>;
  /** Open the whole form, with what the short one holds. */
  newJob(): Promise<void>;
  compareJobs(): Promise<void>;
  openSweep(sweep: Sweep): Promise<void>;
  stopSweep(sweep: Sweep): Promise<void>;
  openSettings(): Promise<void>;
  /** Show the dashboard, at that GPU where one is named (by UUID). */
  openDashboard(gpu: string | null): Promise<void>;
}

/** The notebook in front. */
export interface ICurrent {
  readonly path: string | null;
  readonly changed: ISignal<unknown, unknown>;
}

/** The lease to bring into view, for example after a click in the status bar. */
export interface IFocus {
  readonly lease: number | null;
  readonly changed: ISignal<unknown, unknown>;
}

export interface IPanelContext {
  readonly workbench: Workbench;
  readonly form: FormModel;
  readonly cards: CardsModel;
  readonly presets: PresetsModel;
  readonly trails: Trails;
  readonly actions: IActions;
  readonly current: ICurrent;
  readonly focus: IFocus;
  readonly preferences: () => IPreferences;
  /** Emits when colours have to be read again. */
  readonly themeChanged: ISignal<unknown, unknown> | null;
  readonly trans: TranslationBundle;
}

export const PanelContext = createContext<IPanelContext | null>(null);

export function usePanel(): IPanelContext {
  const context = useContext(PanelContext);
  if (!context) {
    throw new Error('A component of the panel is used outside of it.');
  }
  return context;
}

/** The server's time, once a second. */
export function useNow(): number {
  const { clock } = usePanel().workbench;
  return useFollowed(clock.ticked, () => clock.now);
}
