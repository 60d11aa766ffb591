/** The part of the tests' server that knows jobs: a log in pieces, metrics, and what they are made of. */

import type { Job, JobSpec, MetricPoint } from '../src/api/types';
import { spec } from './things';

type Answer = { status: number; body: unknown };

export class FakeJobs {
  readonly all = new Map<string, Job>();
  /** Of every rank and stream. */
  log = '';
  attempt = 0;
  ended = false;
  /** Bytes of a log told at once. */
  piece = 64;
  /** The next reader of metrics is told to begin again. */
  anew = false;
  /** Whether TensorBoard is up. */
  board = false;
  points: MetricPoint[] = [];
  /** Of a job that has others than `points`. */
  pointsOf = new Map<string, MetricPoint[]>();
  specs = new Map<string, JobSpec>();

  answer(path: string, query: URLSearchParams): Answer | null {
    const [noun, id, verb] = path.split('/');
    if (noun !== 'jobs') {
      return null;
    }
    const job = id === undefined ? null : this.all.get(id);
    if (id === undefined) {
      return ok({ jobs: [...this.all.values()] });
    }
    if (!job) {
      return { status: 404, body: { code: 'not_found', message: `No ${id}.`, hint: '' } };
    }
    switch (verb) {
      case undefined:
        return ok(job);
      case 'logs':
        return ok(this.chunk(Number(query.get('offset')), Number(query.get('rank'))));
      case 'metrics': {
        const offset = Number(query.get('offset'));
        const points = (this.pointsOf.get(id) ?? this.points).slice(offset, offset + 100);
        if (this.anew) {
          this.anew = false;
          return ok({ points: this.points, next_offset: offset + 1000, ended: false, anew: true });
        }
        const next_offset = offset + points.length;
        return ok({ points, next_offset, ended: this.ended, anew: false });
      }
      case 'tensorboard':
        return ok({ path: `/gpu-workbench/jobs/${id}/tensorboard/`, ready: this.board });
      case 'checkpoints':
        return ok({ checkpoints: [] });
      case 'spec':
        return ok(this.specs.get(id) ?? spec());
      default:
        return null;
    }
  }

  private chunk(offset: number, rank: number): unknown {
    const bytes = new TextEncoder().encode(this.log);
    const asked = offset < 0 ? Math.max(0, bytes.length + offset) : offset;
    const start = asked > bytes.length ? 0 : asked;
    let end = Math.min(bytes.length, start + this.piece);
    while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) {
      end -= 1; // Whole characters, as the real one.
    }
    return {
      rank,
      stream: 'out',
      offset: start,
      next_offset: end,
      text: new TextDecoder().decode(bytes.subarray(start, end)),
      ended: this.ended && end === bytes.length,
      attempt: this.attempt
    };
  }
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}
