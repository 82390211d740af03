// The figures with their sparks, the bars of bytes and of ends, and the chart of waits.

import { byTransport, history, marks, perMessage } from './model.js';
import { $, NAMES, TRANSPORTS, bytes, clock, count, h, percent, say, span, svg, wait, words } from './words.js';

/** Ends that are our fault, or look like it. */
const FAULTS = new Set(['stalled', 'cut', 'memory', 'parse_error', 'taken_over']);
const WAIT_WIDTH = 400;
const PLOT = { left: 52, right: 396, top: 8, bottom: 152 };

/** Returns a line of what was, without axes: the figure beside it has the number. */
function spark(values) {
  const drawn = svg('svg', { viewBox: '0 0 68 40', 'aria-hidden': 'true', preserveAspectRatio: 'none' });
  const known = values.filter((value) => value !== null);
  const [least, most] = [Math.min(...known, 0), Math.max(...known, 1e-9)];
  const points = values.map((value, index) =>
    [(index * 68) / Math.max(values.length - 1, 1), 36 - (32 * ((value ?? 0) - least)) / (most - least || 1)]);
  if (points.length > 1) drawn.append(svg('polyline', { points: points.map((one) => one.map((n) => n.toFixed(1)).join()).join(' ') }));
  return drawn;
}

function figure(label, value, unit, below, values, wrong) {
  return h('div', { class: 'card figure' }, h('span', { class: 'soft' }, label),
    h('strong', { class: wrong ? 'wrong' : null }, value, unit ? h('small', {}, ` ${unit}`) : null),
    h('span', { class: 'soft' }, below), spark(values));
}

export function drawFigures(snapshot, figures) {
  const { never } = figures;
  const on = (name) => byTransport(snapshot).get(name)?.sessions ?? 0;
  const polls = on('polling') + on('longpoll') + on('streaming');
  $('figures').replaceChildren(
    figure('Sessions', count(snapshot.sessions), `of ${count(snapshot.sessions_max)}`,
      `${count(polls)} poll, ${count(on('websocket'))} WebSocket`, history.map((one) => one.now.sessions),
      snapshot.sessions >= 0.9 * snapshot.sessions_max),
    figure('Messages a second', count(figures.up + figures.down), '', `${count(figures.up)} up, ${count(figures.down)} down`,
      history.map((one) => one.rate)),
    figure('Delivery wait', wait(figures.p50), '', figures.p99 === null ? 'nothing delivered yet' : `p99 ${wait(figures.p99)}`,
      history.map((one) => one.p50)),
    figure('Never upgraded', never ? percent(never.share) : '–', '',
      never ? `of ${never.route}${never.share > 0.1 ? ': often a proxy' : ''}` : 'nobody has tried', history.map((one) => one.stayed),
      never && never.share > 0.1),
    figure('Polls waiting', count(figures.now.parked), '', 'one per idle polling session', history.map((one) => one.now.parked)),
  );
}

/** Returns a bar of two parts, on the scale of `most`, with its value. */
export function cost(t, { payload, all }, most, label) {
  const inner = h('span', { class: 'both', width: `${Math.max((100 * all) / most, 1)}%` }, h('span', { width: `${(100 * payload) / all}%` }));
  const value = h('em', {}, bytes(all));
  return label ? h('div', { class: 'cost', t }, h('span', {}, label), inner, value) : h('div', { class: 'cost', t }, inner, value);
}

export function drawBytes(snapshot) {
  const costs = [...byTransport(snapshot)].map(([name, counts]) => [name, perMessage(counts)]).filter(([, one]) => one);
  costs.sort(([one], [other]) => TRANSPORTS.indexOf(one) - TRANSPORTS.indexOf(other));
  const most = Math.max(...costs.map(([, one]) => one.all), 1);
  $('bytes').className = 'costs';
  $('bytes').replaceChildren(...costs.map(([name, one]) => cost(name, one, most, NAMES[name])));
  const of = (name) => costs.find(([other]) => other === name)?.[1].all;
  const ratio = of('polling') / of('websocket');
  if (!(ratio > 0)) say($('ratio'), costs.length ? 'Since the process began' : 'No messages yet');
  else if (ratio >= 1.3) $('ratio').replaceChildren('Polling takes ', h('b', {}, `${ratio.toFixed(1)}×`), ' the bytes of WebSocket here');
  else say($('ratio'), 'Polling takes about as many bytes as WebSocket here');
}

export function drawEnds({ closed, limits, since, now }) {
  const shown = Object.entries(closed).filter(([, value]) => value > 0).sort((one, other) => other[1] - one[1]).slice(0, 7);
  const most = Math.max(...shown.map(([, value]) => value), 1);
  const rows = shown.map(([reason, value]) => h('div', { class: FAULTS.has(reason) ? 'ends fault' : 'ends' }, h('span', {}, words(reason)),
    h('span', {}, h('i', { width: `${(100 * value) / most}%` })), h('span', {}, count(value))));
  $('ended').replaceChildren(...(rows.length ? rows : [h('p', { class: 'soft' }, 'none')]));
  const hit = Object.entries(limits).filter(([, value]) => value > 0);
  $('limits').replaceChildren('Limits hit: ', ...(hit.length ? hit.flatMap(([limit, value], index) =>
    [`${index ? ', ' : ''}${limit} `, h('b', {}, count(value))]) : ['none']));
  const text = now.at - since > 3_500_000 ? 'last hour' : `since ${clock(since).slice(0, 5)}`;
  for (const element of document.querySelectorAll('.since')) say(element, text);
}

/** A power of ten of a second: "100 ms". */
const axis = (power) => (power >= 0 ? `${10 ** power} s` : power >= -3 ? `${10 ** (power + 3)} ms` : `${10 ** (power + 6)} µs`);

export function drawWaits() {
  const chart = $('wait');
  const known = history.flatMap((one) => [one.p50, one.p99]).filter((value) => value !== null && value > 0);
  const [low, high] = [Math.floor(Math.log10(Math.min(...known, 1e-3))), Math.ceil(Math.log10(Math.max(...known, 1)))];
  const [from, to] = [history[0].at, Math.max(history.at(-1).at, history[0].at + 60_000)];
  const x = (at) => PLOT.left + ((PLOT.right - PLOT.left) * (at - from)) / (to - from);
  const y = (seconds) => PLOT.bottom - ((PLOT.bottom - PLOT.top) * (Math.log10(Math.max(seconds, 10 ** low)) - low)) / (high - low);
  const drawn = [];
  for (let power = low; power <= high; power += 1) {
    drawn.push(svg('line', { class: 'grid', x1: PLOT.left, x2: PLOT.right, y1: y(10 ** power), y2: y(10 ** power) }));
    drawn.push(svg('text', { x: PLOT.left - 6, y: y(10 ** power) + 4, 'text-anchor': 'end' }, axis(power)));
  }
  for (const [at, anchor] of [[from, 'start'], [to, 'end']]) {
    drawn.push(svg('text', { x: x(at), y: 170, 'text-anchor': anchor }, clock(at).slice(0, 5)));
  }
  for (const mark of marks.filter(({ at }) => at >= from)) {
    drawn.push(svg('line', { class: 'act', x1: x(mark.at), x2: x(mark.at), y1: PLOT.top, y2: PLOT.bottom }));
    const isLate = x(mark.at) > WAIT_WIDTH / 2;
    drawn.push(svg('text', { class: 'act-name', x: x(mark.at) + (isLate ? -5 : 5), y: 18, 'text-anchor': isLate ? 'end' : 'start' }, mark.text));
  }
  for (const name of ['p99', 'p50']) {
    const points = history.filter((one) => one[name] !== null).map((one) => `${x(one.at).toFixed(1)},${y(one[name]).toFixed(1)}`);
    if (points.length > 1) drawn.push(svg('polyline', { class: name, points: points.join(' ') }));
  }
  chart.replaceChildren(...drawn);
  const last = history.findLast((one) => one.p50 !== null);
  chart.setAttribute('aria-label', last ? `Delivery wait over ${span((to - from) / 1000)}: now half within ${wait(last.p50)}, 99 % within ${wait(last.p99)}`
    : 'Delivery wait: nothing was delivered yet');
  if ($('waits').closest('details').open) {
    $('waits').tBodies[0].replaceChildren(...history.slice(-60).reverse().map((one) => h('tr', {}, h('td', {}, clock(one.at)),
      h('td', { class: 'number' }, wait(one.p50)), h('td', { class: 'number' }, wait(one.p99)))));
  }
}
