/**
 * The monitor's view: for each slice or GPU the activity as an area, in it the SM activity where that
 * is known, and the memory as a line, over the last two minutes. Plain ES module, no build, no
 * dependency; SVG, so that it follows the theme. It draws what the model holds, while it is seen, and
 * sends back only whether it is.
 */

const SECONDS = 120;
const HEIGHT = 44;
const SVG = 'http://www.w3.org/2000/svg';

/** The window as numbers: for each subject three columns, oldest first; NaN is unknown. */
export function decode(window, count) {
  const bytes = new Uint8Array(window.buffer ?? window, window.byteOffset ?? 0, window.byteLength);
  // A copy: the bytes may lie anywhere in a larger buffer, floats must be aligned.
  const view = new DataView(bytes.slice().buffer);
  const series = [];
  for (let subject = 0; subject < count; subject++) {
    const from = subject * 3 * SECONDS;
    if ((from + 3 * SECONDS) * 4 > view.byteLength) break;
    const read = offset =>
      Array.from({ length: SECONDS }, (_, i) => view.getFloat32((from + offset + i) * 4, true));
    series.push({ activity: read(0), sm: read(SECONDS), memory: read(2 * SECONDS) });
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
  const sm = series.sm.at(-1);
  const memory = series.memory.at(-1);
  const used = Number.isNaN(memory) ? 'memory unknown' : `${memory.toFixed(1)} of ${limit} GB`;
  const busy = Number.isNaN(activity) ? 'activity unknown' : `${Math.round(activity * 100)} %`;
  view.label.textContent = subject.label;
  const said = [busy, Number.isNaN(sm) ? '' : `SM ${Math.round(sm * 100)} %`, used];
  const words = said.filter(Boolean).join(' · ');
  view.figure.textContent = words;
  view.chart.setAttribute('aria-label', `${subject.label}: ${words}, last two minutes`);
  const drawn = [shape('line', 'gpuw-monitor-limit', { x1: 0, x2: SECONDS - 1, y1: 0, y2: 0 })];
  for (const name of ['activity', 'sm']) {
    for (const run of runs(series[name], 1)) {
      const [first] = run[0].split(',');
      const [last] = run.at(-1).split(',');
      const points = [`${first},${HEIGHT}`, ...run, `${last},${HEIGHT}`].join(' ');
      drawn.push(shape('polygon', `gpuw-monitor-${name}`, { points }));
    }
  }
  for (const run of runs(series.memory, limit)) {
    drawn.push(shape('polyline', 'gpuw-monitor-memory', { points: run.join(' ') }));
  }
  view.chart.replaceChildren(...drawn);
}

/**
 * Tells the kernel whether any view of the model is seen; returns what ends that.
 *
 * A view that is on the screen says so again when another (of a second browser) has said it is not.
 */
function tellWhetherSeen(model, el) {
  let onScreen = false;
  const tell = () => {
    const seen = onScreen && !document.hidden;
    if (seen !== model.get('seen')) {
      model.set('seen', seen);
      model.save_changes();
    }
  };
  const again = () => {
    if (onScreen && !document.hidden) tell();
  };
  const observer = new IntersectionObserver(entries => {
    onScreen = entries.at(-1).isIntersecting;
    tell();
  });
  observer.observe(el);
  document.addEventListener('visibilitychange', tell);
  model.on('change:seen', again);
  return () => {
    observer.disconnect();
    document.removeEventListener('visibilitychange', tell);
    model.off('change:seen', again);
    onScreen = false;
    tell();
  };
}

function render({ model, el }) {
  const root = element('div', 'gpuw-monitor', el);
  // The still picture beside is for where no view lives.
  const hiding = element('style', 'gpuw-monitor-hiding', root);
  hiding.textContent = `.gpuw-still-${model.get('key')} { display: none; }`;
  const list = element('div', 'gpuw-monitor-rows', root);
  const note = element('div', 'gpuw-monitor-note', root);
  const rows = [];

  const update = () => {
    const subjects = model.get('subjects');
    const series = decode(model.get('window'), subjects.length);
    while (rows.length > series.length) rows.pop().box.remove();
    while (rows.length < series.length) rows.push(row(list));
    series.forEach((one, i) => draw(rows[i], subjects[i], one));
    const sm = series.some(one => one.sm.some(value => !Number.isNaN(value)));
    const key = `area: activity${sm ? ', dark: SM activity' : ''}, line: memory, last two minutes`;
    const state = model.get('state') === 'live' ? '' : model.get('state');
    note.textContent = [model.get('notes'), key, state].filter(Boolean).join(' · ');
  };

  const names = ['window', 'subjects', 'state', 'notes'].map(name => `change:${name}`);
  for (const name of names) model.on(name, update);
  update();
  const unseen = tellWhetherSeen(model, root);
  return () => {
    for (const name of names) model.off(name, update);
    unseen();
  };
}

export default { render };
