/**
 * The monitor's view: for each slice or GPU the activity as an area and the memory as a line, over
 * the last two minutes. Plain ES module, no build, no dependency; SVG, so that it follows the theme.
 * It draws what the model holds and sends nothing back.
 */

const SECONDS = 120;
const HEIGHT = 44;
const SVG = 'http://www.w3.org/2000/svg';

/** The window as numbers: for each subject `activity` and `memory`, oldest first; NaN is unknown. */
export function decode(window, count) {
  const bytes = new Uint8Array(window.buffer ?? window, window.byteOffset ?? 0, window.byteLength);
  // A copy: the bytes may lie anywhere in a larger buffer, floats must be aligned.
  const view = new DataView(bytes.slice().buffer);
  const series = [];
  for (let subject = 0; subject < count; subject++) {
    const from = subject * 2 * SECONDS;
    if ((from + 2 * SECONDS) * 4 > view.byteLength) break;
    const read = offset =>
      Array.from({ length: SECONDS }, (_, i) => view.getFloat32((from + offset + i) * 4, true));
    series.push({ activity: read(0), memory: read(SECONDS) });
  }
  return series;
}

/** Runs of known values as lists of "x,y"; `top` is the value at the upper edge. */
export function runs(values, top) {
  const found = [];
  let run = [];
  values.forEach((value, x) => {
    if (Number.isNaN(value)) {
      if (run.length) found.push(run);
      run = [];
    } else {
      const share = top > 0 ? Math.min(1, value / top) : 0;
      run.push(`${x},${((1 - share) * HEIGHT).toFixed(1)}`);
    }
  });
  if (run.length) found.push(run);
  return found;
}

function element(tag, className, parent) {
  const made = document.createElement(tag);
  made.className = className;
  parent.append(made);
  return made;
}

function shape(tag, className, attributes) {
  const made = document.createElementNS(SVG, tag);
  made.setAttribute('class', className);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function row(parent) {
  const box = element('div', 'gpuw-monitor-row', parent);
  const head = element('div', 'gpuw-monitor-head', box);
  const label = element('span', 'gpuw-monitor-label', head);
  const figure = element('span', 'gpuw-monitor-figure', head);
  const chart = document.createElementNS(SVG, 'svg');
  chart.setAttribute('viewBox', `0 -1 ${SECONDS - 1} ${HEIGHT + 2}`);
  chart.setAttribute('preserveAspectRatio', 'none');
  chart.setAttribute('role', 'img');
  box.append(chart);
  return { box, label, figure, chart };
}

function draw(view, subject, series) {
  const limit = subject.memory;
  const activity = series.activity.at(-1);
  const memory = series.memory.at(-1);
  const used = Number.isNaN(memory) ? 'memory unknown' : `${memory.toFixed(1)} of ${limit} GB`;
  const busy = Number.isNaN(activity) ? 'activity unknown' : `${Math.round(activity * 100)} %`;
  view.label.textContent = subject.label;
  view.figure.textContent = `${busy} · ${used}`;
  view.chart.setAttribute('aria-label', `${subject.label}: ${busy}, ${used}, last two minutes`);
  const drawn = [shape('line', 'gpuw-monitor-limit', { x1: 0, x2: SECONDS - 1, y1: 0, y2: 0 })];
  for (const run of runs(series.activity, 1)) {
    const [first] = run[0].split(',');
    const [last] = run.at(-1).split(',');
    const points = [`${first},${HEIGHT}`, ...run, `${last},${HEIGHT}`].join(' ');
    drawn.push(shape('polygon', 'gpuw-monitor-activity', { points }));
  }
  for (const run of runs(series.memory, limit)) {
    drawn.push(shape('polyline', 'gpuw-monitor-memory', { points: run.join(' ') }));
  }
  view.chart.replaceChildren(...drawn);
}

function render({ model, el }) {
  const root = element('div', 'gpuw-monitor', el);
  const list = element('div', 'gpuw-monitor-rows', root);
  const note = element('div', 'gpuw-monitor-note', root);
  const rows = [];

  const update = () => {
    const subjects = model.get('subjects');
    const series = decode(model.get('window'), subjects.length);
    while (rows.length > series.length) rows.pop().box.remove();
    while (rows.length < series.length) rows.push(row(list));
    series.forEach((one, i) => draw(rows[i], subjects[i], one));
    const words = model.get('simulated') ? ['simulated GPUs'] : [];
    words.push('area: activity, line: memory, last two minutes');
    if (model.get('state') !== 'live') words.push(model.get('state'));
    note.textContent = words.join(' · ');
  };

  const names = ['change:window', 'change:subjects', 'change:state'];
  for (const name of names) model.on(name, update);
  update();
  return () => {
    for (const name of names) model.off(name, update);
  };
}

export default { render };
