// Runs in the page before JupyterLab: lets a test make up load, and time, on the wire.
//
// The real WebSocket stays, with its layouts and events; only the figures of its binary ticks are
// replaced, all metrics by wandering ones. `window.gwFeed` drives it:
//
//   vary = true          the server's ticks come when they come, with figures made up
//   own = true           the server's ticks are dropped: time goes on only by `run`
//   run(count, seconds)  so many ticks at once, each that much later than the one before
//   known = {id: bytes}  only these work, with that much memory
//   parts = {gpu: [[id, units], …]}  what a GPU does is what its slices do
//   ticks                how many the page has got

(() => {
  const Real = window.WebSocket;
  const WIDTH = { u8: 1, u16: 2, u32: 4, f32: 4, f64: 8 };
  const layouts = new Map();
  const newest = new Map(); // the last frame of each view, by its layouts' ids
  const feed = { vary: false, own: false, known: null, parts: {}, ticks: 0, time: 0, run };
  window.gwFeed = feed;
  let socket = null;

  class Socket extends Real {
    constructor(...args) {
      super(...args);
      if (String(args[0]).includes('gpu-workbench/api/v1/live')) {
        socket = this;
        layouts.clear();
        newest.clear();
        this.addEventListener('message', event => this.see(event), true);
      }
    }

    see(event) {
      if (typeof event.data === 'string') {
        const told = JSON.parse(event.data);
        if (told.type === 'layout') {
          for (const [id, known] of layouts) {
            if (known.gpu === told.data.gpu && known.table === told.data.table) {
              layouts.delete(id);
            }
          }
          layouts.set(told.data.id, told.data);
        }
        return;
      }
      const bytes = new DataView(event.data);
      const key = `${bytes.getUint16(2, true)} ${bytes.getUint16(4, true)}`;
      if (!newest.has(key)) {
        for (const other of newest.keys()) {
          if (!other.split(' ').every(id => layouts.has(Number(id)))) {
            newest.delete(other);
          }
        }
      }
      newest.set(key, event.data);
      feed.time = Math.max(feed.time, bytes.getFloat64(8, true));
      if (feed.own && !event.gwMade) {
        event.stopImmediatePropagation();
        return;
      }
      feed.ticks += 1;
      if (feed.vary) {
        fill(bytes);
      }
    }
  }
  window.WebSocket = Socket;

  function run(count, seconds) {
    for (let i = 0; i < count && socket; i++) {
      feed.time += seconds;
      for (const frame of [...newest.values()]) {
        const data = frame.slice(0);
        new DataView(data).setFloat64(8, feed.time, true);
        const event = new MessageEvent('message', { data });
        event.gwMade = true;
        socket.dispatchEvent(event);
      }
    }
    return feed.time;
  }

  /** Wandering figures: each subject has a pace of its own, some do nothing at all. */
  function fill(bytes) {
    const time = bytes.getFloat64(8, true);
    let at = 16;
    for (const place of [2, 4]) {
      const layout = layouts.get(bytes.getUint16(place, true));
      if (!layout) {
        return;
      }
      for (const { name, type, scale, labels } of layout.columns) {
        for (let row = 0; row < layout.ids.length; row++, at += WIDTH[type]) {
          if (!labels) {
            write(bytes, at, type, figure(name, layout.ids[row], time) / scale);
          }
        }
      }
      at = Math.ceil(at / 8) * 8;
    }
  }

  const paces = new Map();

  /** What a share of a GPU is a share of, and what only adds up. */
  const WEIGHED = ['use', 'activity', 'sm_activity', 'sm_occupancy', 'tensor_activity', 'dram_activity'];

  function figure(name, id, time) {
    const parts = feed.parts[id];
    if (parts && (WEIGHED.includes(name) || name === 'memory_bytes')) {
      const weighed = ([one, units]) => (name === 'memory_bytes' ? 1 : units) * figure(name, one, time);
      return parts.map(weighed).reduce((sum, each) => sum + each, 0);
    }
    let seed = paces.get(id);
    if (seed === undefined) {
      // Ids that differ in a digit only shall not go the same pace.
      const mixed = (hash, c) => Math.imul(hash ^ c.charCodeAt(0), 2654435761) ^ (hash >>> 13);
      seed = (([...id, '.', '.'].reduce(mixed, 7) >>> 0) % 9973) / 9973;
      paces.set(id, seed);
    }
    const size = feed.known ? feed.known[id] : 80 * 2 ** 30;
    const still = seed < 0.25 || size === undefined;
    const wave = 0.5 + 0.5 * Math.sin(time / (20 + 90 * seed) + seed * 40);
    const use = parts
      ? figure('use', id, time)
      : still
        ? 0
        : Math.min(1, 0.15 + seed * wave * 1.1);
    const sm = use * (seed > 0.8 ? 0.04 : 0.2 + 0.7 * seed);
    const most = {
      use,
      activity: use,
      sm_activity: sm,
      sm_occupancy: sm * 0.6,
      tensor_activity: sm * 0.5,
      dram_activity: use * 0.6 * (1 - seed / 2),
      memory_bytes: size === undefined ? 0 : size * (0.1 + 0.75 * seed + 0.06 * wave),
      power_watts: 70 + 520 * use,
      temperature_c: 31 + 42 * use,
      sm_clock_mhz: 1980 - 300 * use,
      memory_clock_mhz: 2619,
      pcie_tx_bytes_s: 4e8 * wave * seed,
      pcie_rx_bytes_s: 3e9 * wave * seed,
      nvlink_tx_bytes_s: 9e10 * use,
      nvlink_rx_bytes_s: 8e10 * use,
      encoder: 0,
      decoder: 0,
      energy_joules: 1e6 + time % 1e6,
      ecc_corrected: 0,
      ecc_uncorrected: 0,
      remapped_corrected: 0,
      remapped_uncorrected: 0,
      remap_pending: 0,
      remap_failed: 0,
      xid: NaN
    };
    return most[name] ?? NaN;
  }

  function write(bytes, at, type, value) {
    switch (type) {
      case 'u8':
        return bytes.setUint8(at, Number.isNaN(value) ? 0xff : Math.min(0xfe, Math.round(value)));
      case 'u16':
        return bytes.setUint16(at, Number.isNaN(value) ? 0xffff : Math.round(value), true);
      case 'u32':
        return bytes.setUint32(at, Number.isNaN(value) ? 0xffffffff : Math.round(value), true);
      case 'f32':
        return bytes.setFloat32(at, value, true);
      default:
        return bytes.setFloat64(at, value, true);
    }
  }
})();
