/** What every component of a job's page can reach, and what people can do from there. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { createContext, useContext } from 'react';

import type { Checkpoint, Job } from '../api/types';
import { useTold, useFollowed } from '../surface/follow';
import type { JobModel, Tab } from './model';

/** All reject with `ApiError`, and do nothing where somebody thinks better of it. */
export interface IJobActions {
  stop(job: Job): Promise<void>;
  /** Ask on how many ranks, then go on from that checkpoint, or the newest whole one. */
  resume(job: Job, checkpoint: Checkpoint | null): Promise<void>;
  /** Open the form, made out as the job was. */
  again(job: Job): Promise<void>;
  /** The same form, made ready for several values. */
  sweep(job: Job): Promise<void>;
  openSweep(id: string): Promise<void>;
  /** TensorBoard on it, in a tab of its own. */
  openBoard(job: Job): Promise<void>;
  /** Ask with which others, then lay the curves over each other. */
  compare(job: Job): Promise<void>;
  open(id: string, tab?: Tab): Promise<void>;
  /** Open the notebook that a job left, by its path on the server. */
  openNotebook(path: string): Promise<void>;
  openPanel(lease: number): Promise<void>;
}

export interface IJobContext {
  readonly model: JobModel;
  readonly actions: IJobActions;
  /** Emits when colours have to be read again. */
  readonly themeChanged: ISignal<unknown, unknown> | null;
  readonly trans: TranslationBundle;
}

export const JobContext = createContext<IJobContext | null>(null);

export function useJob(): IJobContext {
  const context = useContext(JobContext);
  if (!context) {
    throw new Error("A component of a job's page is used outside of it.");
  }
  return context;
}

/** The page's job; it renders again when that changes. */
export function useThisJob(): Job | null {
  const { model } = useJob();
  useTold(model.changed);
  return model.job;
}

/** The server's time, once a second. */
export function useClock(): number {
  const { clock } = useJob().model.workbench;
  return useFollowed(clock.ticked, () => clock.now);
}
