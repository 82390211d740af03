// What the page knows: the last snapshot, and what came before it for an hour, as far as the page has been open.

const EVERY_MS = 5000;
const HOUR_MS = 3_600_000;
/** The bounds of a wait, in seconds: four times the one before. The last count has none. */
const BOUNDS = Array.from({ length: 12 }, (_, index) => 16e-6 * 4 ** index);

const sum = (values) => values.reduce((all, value) => all + value, 0);

export const history = [];
export const marks = [];
const states = new Map();
let before;

/** Returns the transports of a route under the page's names: longpoll has a hue of its own. */
export function transportsOf(route) {
  const named = Object.entries(route.transports).map(([name, counts]) =>
    [route.dialect === 'longpoll' && name !== 'websocket' ? 'longpoll' : name, counts]);
  const merged = new Map();
  for (const [name, counts] of named) {
    const other = merged.get(name);
    merged.set(name, other ? add(other, counts) : counts);
  }
  return merged;
}

function add(one, other) {
  const keys = Object.keys(one).filter((key) => key !== 'waits');
  const added = Object.fromEntries(keys.map((key) => [key, one[key] + other[key]]));
  return { ...added, waits: one.waits.map((value, index) => value + other.waits[index]) };
}

/** Returns the counts of one transport over all routes. */
export function byTransport(snapshot) {
  const all = new Map();
  for (const route of snapshot.routes) {
    for (const [name, counts] of transportsOf(route)) all.set(name, all.has(name) ? add(all.get(name), counts) : counts);
  }
  return all;
}

export const messages = (counts) => counts.messages_from_client + counts.messages_to_client;
export const perMessage = (counts) => {
  const moved = messages(counts);
  return moved < 1 ? null : { payload: counts.payload / moved, all: (counts.payload + counts.envelope) / moved };
};

/** Returns the wait under which a share of those in these counts is. */
export function quantile(counts, share) {
  const all = sum(counts);
  if (all === 0) return null;
  let left = all * share;
  for (const [index, value] of counts.entries()) {
    if (left <= value && value > 0) {
      const low = index === 0 ? 0 : BOUNDS[index - 1];
      const high = BOUNDS[index] ?? low * 4;
      return low + (high - low) * (left / value);
    }
    left -= value;
  }
  return BOUNDS.at(-1);
}

function totals(snapshot) {
  const counted = [...byTransport(snapshot).values()];
  const waits = counted.map((counts) => counts.waits);
  const closed = {};
  for (const route of snapshot.routes) {
    for (const [reason, value] of Object.entries(route.closed)) closed[reason] = (closed[reason] ?? 0) + value;
  }
  return {
    at: snapshot.at,
    up: sum(counted.map((counts) => counts.messages_from_client)),
    down: sum(counted.map((counts) => counts.messages_to_client)),
    waits: waits.length ? waits[0].map((_, index) => sum(waits.map((one) => one[index]))) : [],
    closed,
    limits: snapshot.limits,
    parked: sum(snapshot.routes.map((route) => route.polls_parked)),
    sessions: snapshot.sessions,
    routes: new Map(snapshot.routes.map((route) => [key(route), sum([...transportsOf(route).values()].map(messages))])),
  };
}

export const key = (route) => `${route.route} ${route.upstream}`;

/** Takes the next snapshot; returns the present figures. */
export function take(snapshot) {
  const now = totals(snapshot);
  const last = before ?? now;
  const seconds = Math.max((now.at - last.at) / 1000, 0.001);
  const rate = (name) => (before ? Math.max(now[name] - last[name], 0) / seconds : 0);
  before = now;
  const first = history[0];
  const kept = history.at(-1);
  if (!kept || now.at - kept.now.at >= EVERY_MS) {
    const waits = kept ? now.waits.map((value, index) => value - (kept.now.waits[index] ?? 0)) : now.waits.map(() => 0);
    history.push({ now, at: now.at, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99), rate: rate('up') + rate('down'),
      stayed: stayed(snapshot) });
    while (history.length > 2 && now.at - history[0].at > HOUR_MS) history.shift();
  }
  const perRoute = new Map([...now.routes].map(([name, value]) =>
    [name, Math.max(value - (last.routes.get(name) ?? value), 0) / seconds]));
  const ago = history[0].now;
  const closed = Object.fromEntries(Object.entries(now.closed).map(([reason, value]) => [reason, value - (ago.closed[reason] ?? 0)]));
  const limits = Object.fromEntries(Object.entries(now.limits).map(([limit, value]) => [limit, value - (ago.limits[limit] ?? 0)]));
  const latest = history.findLast((one) => one.p50 !== null);
  return { now, up: rate('up'), down: rate('down'), perRoute, closed, limits, p50: latest?.p50 ?? null, p99: latest?.p99 ?? null,
    since: first?.at ?? now.at, never: never(snapshot) };
}

/** Returns the share of a route's clients that began by polling and moved on; null if none may or has tried. */
export function upgraded(route) {
  const { polling } = route.transports;
  if (route.upgrades.tried === 0 || polling.opened === 0) return null;
  return Math.min(route.upgrades.done / polling.opened, 1);
}

function never(snapshot) {
  const shares = snapshot.routes.map((route) => [route, upgraded(route)]).filter(([, share]) => share !== null);
  if (shares.length === 0) return null;
  const [route, share] = shares.reduce((worst, one) => (one[1] < worst[1] ? one : worst));
  return { route: route.route, share: 1 - share };
}

const stayed = (snapshot) => never(snapshot)?.share ?? null;

/** Marks when something goes down, or drains. */
export function note(name, state, at) {
  const known = states.get(name);
  states.set(name, state);
  if (known && known !== state && state !== 'up') marks.push({ at, text: `${name.split(' ').at(-1)} ${state === 'out' ? 'down' : state}` });
  while (marks.length > 6) marks.shift();
}
