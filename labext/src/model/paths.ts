/**
 * Which lease belongs to which notebook: the holder bears the path of the session it is for.
 *
 * The kernel side knows that path from the server's root or as an absolute one, the browser from the
 * server's root only, so the shorter must be the end of the longer.
 */

import type { Lease, Request } from '../api/types';

export function samePath(a: string, b: string): boolean {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a];
  return short !== '' && (long === short || long.endsWith(`/${short.replace(/^\/+/, '')}`));
}

/** What a lease is for: the path of its notebook, or a name that somebody gave. */
export function nameOf(lease: Lease): string {
  return lease.holder?.name || lease.name;
}

/** The lease whose kernel the notebook at `path` uses, or that waits for it. */
export function leaseOf(path: string, leases: readonly Lease[]): Lease | null {
  const kernels = leases.filter(one => one.purpose === 'kernel' && one.state !== 'ended');
  return (
    kernels.find(one => one.holder && samePath(one.holder.name, path)) ??
    kernels.find(one => !one.holder && samePath(one.name, path)) ??
    null
  );
}

/** The waiting request for the notebook at `path`. */
export function requestOf(path: string, requests: readonly Request[]): Request | null {
  return (
    requests.find(one => one.mine && one.purpose === 'kernel' && samePath(one.name, path)) ?? null
  );
}

/** What people call a holder: the file's name without folder, or its own name. */
export function shortName(name: string): string {
  return name.split('/').at(-1) ?? name;
}
