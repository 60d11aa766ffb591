/**
 * What people read: "14.2 GB", "1:42:10", "in about 12 min", "at 14:32", "0.25 GPU", "4×1g.10gb".
 *
 * Pure; whoever calls brings the translation. Memory is written as on a GPU's label: an "80 GB"
 * card has 80 · 2³⁰ bytes.
 */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { Lease } from '../api/types';
import { nameOf, shortName } from './paths';

const GIB = 2 ** 30;

export function gigabytes(bytes: number): string {
  const gb = bytes / GIB;
  return gb >= 99.95 ? gb.toFixed(0) : gb.toFixed(1).replace(/\.0$/, '');
}

export function memory(bytes: number | null): string {
  return bytes === null ? '–' : `${gigabytes(bytes)} GB`;
}

/** "14.2 of 20 GB"; unknown use is a dash. */
export function memoryOf(trans: TranslationBundle, used: number | null, total: number): string {
  return trans.__('%1 of %2 GB', used === null ? '–' : gigabytes(used), gigabytes(total));
}

/** "43 %"; unknown is a dash. */
export function percent(share: number | null): string {
  return share === null ? '–' : `${Math.round(share * 100)} %`;
}

/** GPU units: "0.25", "1", "1.29". */
export function units(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** GPU time: "4.2 GPU-seconds", "12 GPU-minutes", "3.2 GPU-hours"; `gpu_workbench` says the same. */
export function gpuTime(trans: TranslationBundle, seconds: number): string {
  if (seconds < 120) {
    return trans.__('%1 GPU-seconds', seconds.toFixed(seconds < 10 ? 1 : 0));
  }
  return seconds < 7200
    ? trans.__('%1 GPU-minutes', (seconds / 60).toFixed(0))
    : trans.__('%1 GPU-hours', (seconds / 3600).toFixed(1));
}

/** Time left as a clock: "1:42:10", "9:05". Never negative. */
export function countdown(seconds: number): string {
  const left = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Time left for the status bar: "1:42" are hours and minutes, "9 min" minutes. */
export function shortLeft(trans: TranslationBundle, seconds: number): string {
  const left = Math.max(0, Math.floor(seconds));
  const h = Math.floor(left / 3600);
  const m = Math.floor(left / 60) % 60;
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}` : trans.__('%1 min', m);
}

/** A duration to choose: "30 min", "2 h", "1 h 30 min", "3 d". */
export function duration(trans: TranslationBundle, seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) {
    return trans.__('%1 min', minutes);
  }
  if (minutes % 1440 === 0) {
    return trans.__('%1 d', minutes / 1440);
  }
  const h = Math.floor(minutes / 60);
  return minutes % 60 ? trans.__('%1 h %2 min', h, minutes % 60) : trans.__('%1 h', h);
}

/** A time of the clock: "14:32"; with the day when it is not today. */
export function clockTime(at: number, now: number): string {
  const [date, today] = [new Date(at * 1000), new Date(now * 1000)];
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false });
  if (date.toDateString() === today.toDateString()) {
    return time;
  }
  return `${date.toLocaleDateString([], { weekday: 'short', day: 'numeric', month: 'short' })} ${time}`;
}

/** When something is expected: "now", "in about 12 min", "at 14:32" from an hour on. */
export function expected(trans: TranslationBundle, at: number, now: number): string {
  const seconds = at - now;
  if (seconds <= 0) {
    return trans.__('any moment');
  }
  if (seconds < 3600) {
    return trans.__('in about %1 min', Math.max(1, Math.round(seconds / 60)));
  }
  return trans.__('at %1', clockTime(at, now));
}

/** The same in the few letters a card has: "≈ 12 min", "≈ 14:32". */
export function shortExpected(trans: TranslationBundle, at: number, now: number): string {
  const seconds = at - now;
  return seconds < 3600
    ? trans.__('≈ %1 min', Math.max(1, Math.round(seconds / 60)))
    : `≈ ${clockTime(at, now)}`;
}

/** "20", "20 GB", "20gb", "512 MB" as a memory in GB; `null` when it is none. */
export function parseMemory(text: string): number | null {
  const found = /^\s*(\d+(?:[.,]\d+)?)\s*(?:([mgt])i?b?)?\s*$/i.exec(text);
  if (!found?.[1]) {
    return null;
  }
  const amount = Number(found[1].replace(',', '.'));
  const scale = { m: 1 / 1000, g: 1, t: 1000 }[(found[2] ?? 'g').toLowerCase()] ?? 1;
  return amount > 0 ? amount * scale : null;
}

/** A profile as people call it: "2g.20gb", "1/4 GPU", "whole GPU". */
export function profileName(profile: string): string {
  if (profile === 'whole' || profile === 'gpu') {
    return 'whole GPU';
  }
  const share = /^(?:fraction-)?(0?\.\d+)$/.exec(profile)?.[1];
  if (share === undefined) {
    return profile.replace(/^mig-/, '');
  }
  const parts = 1 / Number(share);
  return Math.abs(parts - Math.round(parts)) < 0.01
    ? `1/${Math.round(parts)} GPU`
    : `${Number(share)} GPU`;
}

/** "2g.20gb", "4×1g.10gb". */
export function slicesOf(lease: Lease): string {
  const profile = profileName(lease.profile);
  return lease.slices.length > 1 ? `${lease.slices.length}×${profile}` : profile;
}

/** Why a lease is over; `null` where somebody gave it back. */
export function whyEnded(trans: TranslationBundle, lease: Lease): string | null {
  return {
    expired: trans.__('its time was over.'),
    preempted: trans.__('it was borrowed, and went to somebody with a right to it.'),
    reclaimed: trans.__('nobody used it.'),
    lost: trans.__('what ran on it, or its GPU, was gone.'),
    released: null
  }[lease.end_reason ?? 'released'];
}

/** What people call a lease: its notebook, "cluster flights", "unused slice". */
export function leaseName(lease: Lease, trans: TranslationBundle): string {
  const name = shortName(nameOf(lease));
  const kind = lease.holder?.kind ?? lease.purpose;
  if (!name) {
    return lease.holder ? trans.__('a kernel') : trans.__('unused slice');
  }
  if (name.startsWith(kind)) {
    return name; // "cluster 1" says it already.
  }
  switch (kind) {
    case 'cluster':
      return trans.__('cluster %1', name);
    case 'job':
      return trans.__('job %1', name);
    default:
      return name;
  }
}
