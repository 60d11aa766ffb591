/**
 * The form of a new job: what runs, on what, and how it is cared for. No DOM, no fetching.
 *
 * Profile, count, time, script, arguments and name are the fields of the panel's form; here stand
 * those that only a job has. Made out from a job's spec it keeps what it has no field for, such as
 * the function that was sent.
 */

import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { JobBody, JobSpec } from '../api/types';
import type { IFormState } from './form';
import { faultyField, FormModel, splitArgs, whatOf } from './form';
import { pointsOf } from './grid';
import type { ISweepFields } from './sweeps';
import { parseMemory } from './words';

export interface IJobFields {
  /** The folder it runs in; empty is the script's own. */
  readonly cwd: string;
  readonly launcher: JobSpec['launcher'];
  readonly launcherArgs: string;
  /** What happens where a rank is lost and all start again. */
  readonly ifLost: JobSpec['if_lost'];
  /** How often all ranks are started again, as typed. */
  readonly restarts: string;
  /** Seconds without a step after which it is ended, as typed; empty never. */
  readonly hang: string;
  readonly checkpointDir: string;
  /** Lines NAME=value. */
  readonly env: string;
  /** One job for each combination of values; null is one job. */
  readonly sweep: ISweepFields | null;
  /** What the form was made out from. */
  readonly base: JobSpec | null;
}

export type JobField =
  'script' | 'count' | 'memory' | 'restarts' | 'hang' | 'env' | 'params' | 'atMost';

const EMPTY: IJobFields = {
  cwd: '',
  launcher: 'torch',
  launcherArgs: '',
  ifLost: 'fail',
  restarts: '0',
  hang: '',
  checkpointDir: '',
  env: '',
  sweep: null,
  base: null
};

export class JobForm {
  constructor(start: Partial<IFormState> = {}, fields: Partial<IJobFields> = {}) {
    this.common = new FormModel({ count: 2, ...start, purpose: 'job' });
    this._fields = { ...EMPTY, ...fields };
    this.common.changed.connect(() => this._changed.emit());
  }

  /** Profile, ranks, time, script, arguments, name. */
  readonly common: FormModel;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get fields(): IJobFields {
    return this._fields;
  }

  set(change: Partial<IJobFields>): void {
    this._fields = { ...this._fields, ...change };
    this._changed.emit();
  }

  /** The form as that job was. */
  static of(spec: JobSpec): JobForm {
    // A bare number is a share of a GPU.
    const typed = /[a-z]/i.test(spec.per_rank) ? parseMemory(spec.per_rank) : null;
    return new JobForm(
      {
        profile: typed === null ? spec.per_rank : null,
        ...(typed === null ? {} : { memory: spec.per_rank }),
        count: spec.ranks,
        ...(spec.seconds === null ? {} : { seconds: spec.seconds }),
        pool: spec.pool,
        script: spec.script ?? '',
        args: spec.args.map(quoted).join(' '),
        name: spec.name ?? ''
      },
      {
        cwd: spec.cwd ?? '',
        launcher: spec.launcher,
        launcherArgs: spec.launcher_args.map(quoted).join(' '),
        ifLost: spec.if_lost,
        restarts: String(spec.max_restarts),
        hang: spec.hang_seconds === null ? '' : String(spec.hang_seconds),
        checkpointDir: spec.checkpoint_dir ?? '',
        env: Object.entries(spec.env)
          .map(([name, value]) => `${name}=${value}`)
          .join('\n'),
        base: spec
      }
    );
  }

  private _changed = new Signal<this, void>(this);
  private _fields: IJobFields;
}

/** Whether the form sends a function: there is no script to choose. */
export function functionOf(fields: IJobFields): string | null {
  const { base } = fields;
  return base && base.script === null ? (base.function_name ?? 'function') : null;
}

/** The fields that can't be sent as they are. */
export function faultyFields(state: IFormState, fields: IJobFields): JobField[] {
  const faulty: JobField[] = [];
  const script = functionOf(fields) === null ? state.script : 'function';
  const common = faultyField({ ...state, script });
  if (common && common !== 'most') {
    faulty.push(common); // A job has no workers that it may grow to.
  }
  const restarts = Number(fields.restarts || '0');
  if (!Number.isInteger(restarts) || restarts < 0 || restarts > 100) {
    faulty.push('restarts');
  }
  if (fields.hang.trim() && !(Number(fields.hang) >= 1)) {
    faulty.push('hang');
  }
  if (readEnv(fields.env) === null) {
    faulty.push('env');
  }
  const { sweep } = fields;
  if (sweep && (isNotebook(state.script) || pointsOf(sweep.params) === null)) {
    faulty.push('params');
  }
  if (sweep && !(Number.isInteger(Number(sweep.atMost)) && Number(sweep.atMost) >= 1)) {
    faulty.push('atMost');
  }
  return faulty;
}

/** Notebooks take no arguments. */
export function isNotebook(script: string): boolean {
  return script.trim().endsWith('.ipynb');
}

/** NAME=value of each line; null where a line is something else. */
export function readEnv(text: string): Record<string, string> | null {
  const env: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const found = /^\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line);
    if (found?.[1] !== undefined) {
      env[found[1]] = found[2] ?? '';
    } else if (line.trim()) {
      return null;
    }
  }
  return env;
}

/**
 * What is posted.
 *
 * @param onServer a folder as the file browser names it, as a path on the server's machine
 */
export function specBody(
  state: IFormState,
  fields: IJobFields,
  onServer: (folder: string) => string
): JobBody {
  const base: Partial<JobSpec> = fields.base ?? {};
  const script = state.script.trim();
  const at = script.lastIndexOf('/');
  const own = script.startsWith('/') || script.startsWith('~');
  const folder = own
    ? script.slice(0, Math.max(1, at))
    : onServer(script.slice(0, Math.max(0, at)));
  const cwd = fields.cwd.trim();
  const where = cwd === '' ? folder : isPath(cwd) ? cwd : onServer(cwd);
  const file = own || cwd === '' ? script : `${onServer('')}/${script}`;
  const isFunction = functionOf(fields) !== null;
  return {
    ...base,
    ranks: state.count,
    per_rank: whatOf(state),
    seconds: state.seconds,
    pool: state.pool,
    script: isFunction ? null : cwd === '' && !own ? script.slice(at + 1) : file,
    args: splitArgs(state.args),
    cwd: isFunction ? (base.cwd ?? null) : where,
    name: state.name.trim() || null,
    env: readEnv(fields.env) ?? {},
    launcher: fields.launcher,
    launcher_args: fields.launcher === 'torch' ? [] : splitArgs(fields.launcherArgs),
    if_lost: fields.ifLost,
    max_restarts: Number(fields.restarts || '0'),
    hang_seconds: fields.hang.trim() ? Number(fields.hang) : null,
    checkpoint_dir: fields.checkpointDir.trim() || null,
    resume_from: null, // "Run again" begins at the beginning; "Resume" is a button of its own.
    sweep: null
  };
}

function isPath(text: string): boolean {
  return text.startsWith('/') || text.startsWith('~');
}

function quoted(word: string): string {
  return /[\s"']/.test(word) || word === '' ? `"${word}"` : word;
}
