/**
 * The request form's state: what is asked for, how often, how long, for what. No DOM, no fetching.
 *
 * `what` is either a chosen profile or a memory that somebody typed; choosing one clears the other.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { AskBody, Card, ClusterBody, JobBody } from '../api/types';
import { parseMemory } from './words';

export type Purpose = 'kernel' | 'cluster' | 'job';

/** Where the kernel of a `kernel` request goes: a path, a notebook to be made, or nowhere yet. */
export type Target = { kind: 'new' } | { kind: 'later' } | { kind: 'path'; path: string };

export interface IFormState {
  readonly purpose: Purpose;
  /** Name of the chosen profile, null where `memory` rules. */
  readonly profile: string | null;
  readonly pool: string | null;
  /** As typed. */
  readonly memory: string;
  /** Slices: of the request, one per worker, one per rank. */
  readonly count: number;
  /** Workers that a cluster may grow to by itself, from `count` on; null where it stays at `count`. */
  readonly most: number | null;
  readonly seconds: number;
  /** Of a cluster; empty lets the server choose. A job bears its script's name. */
  readonly name: string;
  /** A cluster ends after so long without a client or a task; 0 is never, null leaves it to the server. */
  readonly idleSeconds: number | null;
  readonly script: string;
  readonly args: string;
  readonly target: Target;
}

export class FormModel {
  constructor(start: Partial<IFormState> = {}) {
    this._state = {
      purpose: 'kernel',
      profile: null,
      pool: null,
      memory: '20 GB',
      count: 1,
      most: null,
      seconds: 7200,
      name: '',
      idleSeconds: null,
      script: '',
      args: '',
      target: { kind: 'new' },
      ...start
    };
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The form was filled in by something else than its fields: it wants to be looked at. */
  get filled(): ISignal<this, void> {
    return this._filled;
  }

  get state(): IFormState {
    return this._state;
  }

  set(change: Partial<IFormState>): void {
    this._state = { ...this._state, ...change };
    this._changed.emit();
  }

  /** Fill in what somebody chose elsewhere, to be looked at before it is sent. */
  fill(change: Partial<IFormState>): void {
    this.set(change);
    this._filled.emit();
  }

  chooseCard(card: Card): void {
    this.set({ profile: card.profile, pool: card.pool, memory: `${card.memory_gb} GB` });
  }

  /** From a click on a free part of the fleet: `offer` names a profile of that pool. */
  chooseOffer(offer: string, pool: string, cards: readonly Card[]): void {
    const card = cards.find(
      one => one.pool === pool && (one.profile === offer || nick(one.profile) === offer)
    );
    if (card) {
      this.chooseCard(card);
    } else {
      this.set({ profile: offer, pool });
    }
  }

  typeMemory(memory: string): void {
    this.set({ memory, profile: null, pool: null });
  }

  /** A cluster of one worker is no cluster: the count follows the purpose until it is set. */
  choosePurpose(purpose: Purpose): void {
    const { count } = this._state;
    const natural = purpose === 'kernel' ? 1 : 2;
    this.set({ purpose, count: purpose === 'kernel' || count <= 1 ? natural : count });
  }

  private _changed = new Signal<this, void>(this);
  private _filled = new Signal<this, void>(this);
  private _state: IFormState;
}

/** What people type for a profile: "1g.10gb", "0.25", "gpu"; the server's offers are written so. */
function nick(profile: string): string {
  return profile === 'whole' ? 'gpu' : profile.replace(/^(mig|fraction)-/, '');
}

/** The card that the form's `what` comes to: the chosen one, else the smallest that has the memory. */
export function fittingCard(state: IFormState, cards: readonly Card[]): Card | null {
  if (state.profile !== null) {
    return (
      cards.find(
        card =>
          [card.profile, nick(card.profile)].includes(state.profile as string) &&
          (!state.pool || card.pool === state.pool)
      ) ?? null
    );
  }
  const wanted = parseMemory(state.memory);
  if (wanted === null) {
    return null;
  }
  // Of two slices with the same memory, the one that is free beats the one that costs less.
  const wait = (card: Card): number => WHEN.indexOf(card.when);
  const fits = cards.filter(card => card.memory_gb >= wanted);
  fits.sort((a, b) => a.memory_gb - b.memory_gb || wait(a) - wait(b) || a.units - b.units);
  return fits[0] ?? null;
}

const WHEN: readonly Card['when'][] = ['now', 'queued', 'over_limit', 'never'];

/** The form with the profile that its cards show as chosen: what is asked for is what was seen. */
export function resolved(state: IFormState, cards: readonly Card[] | null): IFormState {
  const card = fittingCard(state, cards ?? []);
  return card ? { ...state, profile: card.profile, pool: card.pool } : state;
}

/** What of the form can't be sent, as the name of its field; null when all can. */
export function faultyField(state: IFormState): 'memory' | 'count' | 'most' | 'script' | null {
  if (state.profile === null && parseMemory(state.memory) === null) {
    return 'memory';
  }
  if (!Number.isInteger(state.count) || state.count < leastCount(state)) {
    return 'count';
  }
  const most = mostWorkers(state);
  if (most !== null && (!Number.isInteger(most) || most < Math.max(1, state.count))) {
    return 'most';
  }
  if (state.purpose === 'job' && !state.script.trim()) {
    return 'script';
  }
  return null;
}

/** Workers that it may grow to by itself; null where it may not, or is no cluster. */
export function mostWorkers(state: IFormState): number | null {
  return state.purpose === 'cluster' ? state.most : null;
}

/** A cluster that grows by itself may begin with nothing. */
export function leastCount(state: IFormState): number {
  return mostWorkers(state) === null ? 1 : 0;
}

/** `what` of the wire: the profile's name, or the memory with its unit. */
export function whatOf(state: IFormState): string {
  return state.profile ?? `${parseMemory(state.memory) ?? 0}GB`;
}

/** @param name path of the notebook the slice is for; empty where that is decided later */
export function askBody(state: IFormState, name: string): AskBody {
  return {
    what: whatOf(state),
    count: state.count,
    seconds: state.seconds,
    ...(state.pool ? { pool: state.pool } : {}),
    purpose: 'kernel',
    name
  };
}

export function clusterBody(state: IFormState): ClusterBody {
  return {
    workers: state.count,
    per_worker: whatOf(state),
    seconds: state.seconds,
    ...(state.pool ? { pool: state.pool } : {}),
    ...(state.most === null ? {} : { adapt: { minimum: state.count, maximum: state.most } }),
    ...(state.idleSeconds === null ? {} : { idle_seconds: state.idleSeconds }),
    ...(state.name.trim() ? { name: state.name.trim() } : {})
  };
}

/** @param cwd the folder a relative script lies in, absolute or with "~" */
export function jobBody(state: IFormState, cwd: string): JobBody {
  return {
    ranks: state.count,
    per_rank: whatOf(state),
    seconds: state.seconds,
    ...(state.pool ? { pool: state.pool } : {}),
    script: state.script.trim(),
    args: splitArgs(state.args),
    cwd
  };
}

/** Words of a command line; quotes keep blanks together. There is no shell behind it. */
export function splitArgs(text: string): string[] {
  const found = text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
  return found.map(word => word.replace(/"([^"]*)"|'([^']*)'/g, (_, a, b) => a ?? b));
}
