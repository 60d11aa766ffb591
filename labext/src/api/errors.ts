/**
 * The one error that leaves `api/`: what happened, and what would help.
 *
 * The server sends `{code, message, hint}`; everything else that can go wrong on the way (no
 * network, a proxy's HTML page, a server without our plugin) is brought into the same form here.
 */

import type { Problem } from './types';

export class ApiError extends Error {
  /**
   * @param code one of the server's codes, or `offline`, `missing`, `unreadable`
   * @param hint what would work; may be empty
   * @param status the HTTP status, 0 where there was no answer
   */
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly status: number
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** Whether the same call may work later as it is. */
  get temporary(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

/** What an unsuccessful answer means. `body` is its text. */
export function errorOfAnswer(status: number, body: string): ApiError {
  const problem = asProblem(body);
  if (problem) {
    return new ApiError(problem.code, problem.message, problem.hint, status);
  }
  if (status === 404) {
    return new ApiError(
      'missing',
      'The Jupyter server does not know GPU Workbench.',
      'Enable its server part: jupyter server extension enable gpu_workbench_server, then restart.',
      status
    );
  }
  if (status === 401 || status === 403) {
    return new ApiError(
      'forbidden',
      'The Jupyter server did not accept your login.',
      'Log in again, then reload the page.',
      status
    );
  }
  return new ApiError(
    'unreadable',
    `The server answered with status ${status} and nothing readable.`,
    "Try again; the server's log says more.",
    status
  );
}

/** Any thrown thing as an `ApiError`. */
export function asApiError(reason: unknown): ApiError {
  if (reason instanceof ApiError) {
    return reason;
  }
  return new ApiError(
    'offline',
    'The Jupyter server does not answer.',
    'Check your connection; this page tries again by itself.',
    0
  );
}

function asProblem(body: string): Problem | null {
  try {
    const value: unknown = JSON.parse(body);
    if (value && typeof value === 'object' && 'code' in value && 'message' in value) {
      const { code, message, hint } = value as Partial<Problem>;
      return { code: String(code), message: String(message), hint: String(hint ?? '') };
    }
  } catch {
    // A proxy's HTML page: not ours.
  }
  return null;
}
