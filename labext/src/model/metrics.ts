/**
 * What can be measured, under the names of the wire, and how each figure is written.
 *
 * Every metric is optional everywhere: NaN is "not told" and is written as a dash, never as 0.
 */

import type { TranslationBundle } from '@jupyterlab/translation';

import { gigabytes } from './words';

export const METRICS = [
  'activity',
  'memory_bytes',
  'power_watts',
  'temperature_c',
  'sm_clock_mhz',
  'memory_clock_mhz',
  'throttled',
  'pcie_tx_bytes_s',
  'pcie_rx_bytes_s',
  'nvlink_tx_bytes_s',
  'nvlink_rx_bytes_s',
  'encoder',
  'decoder',
  'ecc_corrected',
  'ecc_uncorrected',
  'xid',
  'energy_joules',
  'sm_activity',
  'sm_occupancy',
  'tensor_activity',
  'dram_activity'
] as const;

export type MetricId = (typeof METRICS)[number];

export type Unit = 'share' | 'bytes' | 'watts' | 'celsius' | 'mhz' | 'rate' | 'count' | 'joules';

const UNITS: Record<MetricId, Unit> = {
  activity: 'share',
  memory_bytes: 'bytes',
  power_watts: 'watts',
  temperature_c: 'celsius',
  sm_clock_mhz: 'mhz',
  memory_clock_mhz: 'mhz',
  throttled: 'share',
  pcie_tx_bytes_s: 'rate',
  pcie_rx_bytes_s: 'rate',
  nvlink_tx_bytes_s: 'rate',
  nvlink_rx_bytes_s: 'rate',
  encoder: 'share',
  decoder: 'share',
  ecc_corrected: 'count',
  ecc_uncorrected: 'count',
  xid: 'count',
  energy_joules: 'joules',
  sm_activity: 'share',
  sm_occupancy: 'share',
  tensor_activity: 'share',
  dram_activity: 'share'
};

/** Why clocks are lower than they could be: the names of the wire, in the order of its bits. */
export const THROTTLES = [
  'power_cap',
  'thermal',
  'hw_slowdown',
  'power_brake',
  'sync_boost',
  'app_clocks',
  'display'
] as const;

export function unitOf(metric: MetricId): Unit {
  return UNITS[metric];
}

/** Place of a metric in rows and frames. */
export function indexOf(metric: MetricId): number {
  return METRICS.indexOf(metric);
}

/** "43 %", "14.2 GB", "310 W", "61 °C", "1980 MHz", "1.2 GB/s"; unknown is a dash. */
export function written(unit: Unit, value: number): string {
  if (Number.isNaN(value)) {
    return '–';
  }
  switch (unit) {
    case 'share':
      return `${Math.round(value * 100)} %`;
    case 'bytes':
      return `${gigabytes(value)} GB`;
    case 'watts':
      return `${Math.round(value)} W`;
    case 'celsius':
      return `${Math.round(value)} °C`;
    case 'mhz':
      return `${Math.round(value)} MHz`;
    case 'rate':
      return rate(value);
    case 'joules':
      return value >= 3.6e6
        ? `${(value / 3.6e6).toFixed(1)} kWh`
        : `${(value / 1e3).toFixed(1)} kJ`;
    case 'count':
      return String(Math.round(value));
  }
}

/** Bytes a second in the decimal units of links: "820 kB/s", "1.2 GB/s". */
function rate(value: number): string {
  for (const [scale, name] of [
    [1e9, 'GB/s'],
    [1e6, 'MB/s'],
    [1e3, 'kB/s']
  ] as const) {
    if (value >= scale) {
      const amount = value / scale;
      return `${amount >= 99.5 ? amount.toFixed(0) : amount.toPrecision(2)} ${name}`;
    }
  }
  return `${Math.round(value)} B/s`;
}

export function nameOf(trans: TranslationBundle, metric: MetricId): string {
  const names: Record<MetricId, string> = {
    activity: trans.__('Use'),
    memory_bytes: trans.__('Memory'),
    power_watts: trans.__('Power'),
    temperature_c: trans.__('Temperature'),
    sm_clock_mhz: trans.__('SM clock'),
    memory_clock_mhz: trans.__('Memory clock'),
    throttled: trans.__('Throttled'),
    pcie_tx_bytes_s: trans.__('PCIe sent'),
    pcie_rx_bytes_s: trans.__('PCIe received'),
    nvlink_tx_bytes_s: trans.__('NVLink sent'),
    nvlink_rx_bytes_s: trans.__('NVLink received'),
    encoder: trans.__('Encoder'),
    decoder: trans.__('Decoder'),
    ecc_corrected: trans.__('ECC errors, corrected'),
    ecc_uncorrected: trans.__('ECC errors, uncorrected'),
    xid: trans.__('XID'),
    energy_joules: trans.__('Energy'),
    sm_activity: trans.__('SM activity'),
    sm_occupancy: trans.__('Occupancy'),
    tensor_activity: trans.__('Tensor activity'),
    dram_activity: trans.__('Memory bandwidth')
  };
  return names[metric];
}

/** The reasons in a mask of the wire, as people say them. */
export function throttledBy(trans: TranslationBundle, mask: number): string[] {
  const names: Record<(typeof THROTTLES)[number], string> = {
    power_cap: trans.__('power limit'),
    thermal: trans.__('too hot'),
    hw_slowdown: trans.__('hardware slowdown'),
    power_brake: trans.__('power supply'),
    sync_boost: trans.__('in step with others'),
    app_clocks: trans.__('clocks set by an administrator'),
    display: trans.__('display')
  };
  return THROTTLES.filter((_, bit) => (mask >> bit) & 1).map(one => names[one]);
}
