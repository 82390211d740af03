// The operator's page: it shows what the admin listener tells every second, and asks it for what an operator wants.

import { cost, drawBytes, drawEnds, drawFigures, drawWaits } from './charts.js';
import { key, note, perMessage, take, transportsOf, upgraded } from './model.js';
import { beginSessions, beginTail, tell, tellMissed } from './sessions.js';
import { $, NAMES, TRANSPORTS, count, h, percent, say, span } from './words.js';

const RETRY_MS = 2000;
/** A stream that is silent for so long is dead: there is a snapshot every second. */
const SILENT_MS = 5000;
let source;
let heard = 0;
let drainedFrom = 0;

function drawRoutes(snapshot, figures) {
  const routes = snapshot.routes.filter((route) => route.dialect !== 'http');
  const costs = routes.flatMap((route) => [...transportsOf(route).values()].map(perMessage)).filter(Boolean);
  const most = Math.max(...costs.map(({ all }) => all), 1) * 1.5;
  const seen = new Set();
  const rows = routes.map((route) => {
    const transports = [...transportsOf(route)].sort(([one], [other]) => TRANSPORTS.indexOf(one) - TRANSPORTS.indexOf(other));
    const open = transports.filter(([, counts]) => counts.sessions > 0);
    for (const [name] of open) seen.add(name);
    const all = open.reduce((total, [, counts]) => total + counts.sessions, 0);
    const bar = h('div', { class: 'bar', role: 'img', 'aria-label': open.map(([name, { sessions }]) => `${NAMES[name]} ${sessions}`).join(', ') || 'none' },
      open.map(([name, { sessions }]) => h('span', { t: name, grow: sessions })));
    const share = upgraded(route);
    const low = share !== null && share < 0.9;
    return h('tr', {},
      h('td', {}, h('b', {}, route.route), h('span', { class: 'soft' }, `${route.dialect ?? 'sessions'} to ${route.upstream}`)),
      h('td', { class: 'number' }, h('b', {}, count(all))), h('td', {}, bar),
      h('td', { class: 'number' }, count(figures.perRoute.get(key(route)) ?? 0)),
      h('td', {}, transports.map(([name, counts]) => [name, perMessage(counts)]).filter(([, one]) => one).map(([name, one]) => cost(name, one, most))),
      h('td', { class: share === null ? 'none' : null }, share === null ? '–' : h('b', { class: low ? 'wrong' : null }, percent(share)),
        low ? h('span', { class: 'soft' }, `${percent(1 - share)} stay on polling`) : null));
  });
  $('routes').tBodies[0].replaceChildren(...rows);
  $('legend').replaceChildren(...TRANSPORTS.filter((name) => seen.has(name)).map((t) => h('li', { t }, NAMES[t])));
}

/** Returns the lines of what is wrong, the worst first. */
function drawUpstreams(snapshot) {
  const problems = [];
  let [up, all] = [0, 0];
  const state = (name, value, seconds, reason) => {
    note(name, value, snapshot.at);
    const lasts = span(seconds);
    all += 1;
    up += value === 'up' ? 1 : 0;
    if (value === 'up') return [h('span', { class: 'disc' }), `up ${lasts}`, false];
    if (value === 'draining') return [h('span', { class: 'ring-mark' }), `draining ${lasts}`, false];
    return [h('span', { class: 'square' }), `down ${lasts}${reason ? `, ${reason}` : ''}`, true];
  };
  const upstreams = snapshot.upstreams.map((upstream) => {
    const sessions = snapshot.routes.filter((route) => route.upstream === upstream.name)
      .reduce((total, route) => total + Object.values(route.transports).reduce((all, one) => all + one.sessions, 0), 0);
    const addresses = upstream.addresses.map((one) => {
      const [mark, text, isDown] = state(`${upstream.name} ${one.address}`, one.state, one.state_seconds, one.reason);
      const left = upstream.addresses.filter((other) => other.state === 'up').length;
      if (isDown && left > 0) {
        const others = left > 1 ? `the ${count(left)} others` : 'the other';
        problems.push([`${one.address} is down`, ` in ${upstream.name}${one.reason ? `: it ${one.reason}` : ''}. New sessions go to ${others}.`]);
      }
      return h('li', {}, mark, h('span', { class: 'mono' }, one.address), h('span', { class: 'room' }), h('span', { class: isDown ? 'wrong' : null }, text));
    });
    const isDown = upstream.health === 'down';
    if (isDown) problems.push([`${upstream.name} is down`, ': none of its addresses can be used. New sessions are refused.']);
    return h('div', { class: 'upstream' }, h('div', {}, h('span', { class: isDown ? 'square' : 'disc' }), h('b', {}, upstream.name),
      h('span', { class: 'soft' }, upstream.health), h('span', { class: 'room' }), h('span', {}, `${count(sessions)} sessions`)), h('ul', {}, addresses));
  });
  const nodes = snapshot.nodes.filter((node) => !node.self).map((node) => {
    const value = node.state === 'down' ? 'out' : node.state === 'leaving' ? 'draining' : 'up';
    const [mark, text, isDown] = state(`node ${node.address}`, value, node.state_seconds, node.failure);
    if (isDown) problems.push([`Node ${node.address} is down`, node.failure ? `: ${node.failure}.` : '.']);
    return h('li', {}, mark, h('span', { class: 'mono' }, `${node.name} ${node.address}`), h('span', { class: 'room' }), h('span', { class: isDown ? 'wrong' : null }, text));
  });
  if (nodes.length) upstreams.push(h('div', { class: 'upstream' }, h('div', {}, h('b', {}, 'Other nodes')), h('ul', {}, nodes)));
  $('upstreams').replaceChildren(...upstreams);
  say($('up'), `${up} of ${all} up`);
  return problems;
}

function drawProblems(snapshot, problems) {
  if (snapshot.sessions >= 0.9 * snapshot.sessions_max) {
    problems.unshift(['Nearly full', `: ${count(snapshot.sessions)} of ${count(snapshot.sessions_max)} sessions.`]);
  }
  $('problems').hidden = problems.length === 0;
  const lines = problems.slice(0, 3).map(([what, more]) => h('p', {}, h('span', { class: 'square' }), h('span', {}, h('b', {}, what), more)));
  if ($('problems').textContent !== lines.map((line) => line.textContent).join('')) $('problems').replaceChildren(...lines);
}

function drawDrain({ draining, sessions }) {
  $('draining').hidden = !draining;
  $('drain').disabled = draining;
  if (!draining) return;
  drainedFrom = Math.max(drainedFrom, sessions);
  $('drained').style.width = `${drainedFrom ? 100 * (1 - sessions / drainedFrom) : 100}%`;
  say($('left'), `${count(sessions)} left`);
  say($('of'), `of ${count(drainedFrom)}`);
}

function state(text, className) {
  say($('state'), text);
  $('state').className = `pill ${className}`;
  document.body.classList.toggle('stale', className === 'down');
}

function draw(snapshot) {
  heard = Date.now();
  const figures = take(snapshot);
  say($('about'), `${location.host}, version ${snapshot.version}, up ${span(snapshot.uptime_seconds)}`);
  if (snapshot.draining) state('draining', 'ring');
  else state('ready', 'good');
  drawDrain(snapshot);
  drawFigures(snapshot, figures);
  drawRoutes(snapshot, figures);
  drawProblems(snapshot, drawUpstreams(snapshot));
  drawBytes(snapshot);
  drawWaits();
  drawEnds(figures);
  if (snapshot.missed > 0) tellMissed(snapshot.missed);
}

/** One stream for each page that can be seen: a browser has six connections to a listener. */
function watch() {
  source?.close();
  if (document.hidden) return;
  source = new EventSource('api/events');
  heard = Date.now();
  source.addEventListener('snapshot', ({ data }) => draw(JSON.parse(data)));
  source.addEventListener('session', ({ data }) => tell(JSON.parse(data)));
  source.addEventListener('lost', ({ data }) => tellMissed(JSON.parse(data).lines));
}

setInterval(() => {
  if (document.hidden || Date.now() - heard < SILENT_MS) return;
  state(`unreachable, retrying in ${RETRY_MS / 1000} s`, 'down');
  watch();
}, RETRY_MS);
document.addEventListener('visibilitychange', watch);

$('reload').addEventListener('click', async () => {
  $('reload').disabled = true;
  const answer = await fetch('api/reload', { method: 'POST' }).catch(() => null);
  const { faults = [], problem = 'the server is unreachable' } = answer ? await answer.json() : {};
  const wrong = faults.map(({ place, key: name, problem: what }) => [place, name, what].filter(Boolean).join(': ')).join('; ');
  say($('said'), answer?.ok ? 'The configuration was reloaded.' : `The configuration was not reloaded: ${wrong || problem}.`);
  $('reload').disabled = false;
});
$('drain').addEventListener('click', () => $('ask').showModal());
$('ask').addEventListener('close', async () => {
  if ($('ask').returnValue !== 'yes') return;
  $('ask').returnValue = '';
  const answer = await fetch('api/drain', { method: 'POST' }).catch(() => null);
  say($('said'), answer?.ok ? 'The drain has begun.' : 'The drain could not be begun.');
});

beginSessions();
beginTail();
watch();
