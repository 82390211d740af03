// Numbers and names as people read them, each rounded in one place, and the making of elements.

export const TRANSPORTS = ['polling', 'longpoll', 'old', 'streaming', 'upgrading', 'websocket'];
export const NAMES = {
  polling: 'polling', longpoll: 'longpoll', old: 'old client', streaming: 'streaming', upgrading: 'upgrading', websocket: 'WebSocket',
};

/** Three figures, and never an exponent. */
function figures(value) {
  if (value >= 100 || value === 0) return Math.round(value).toString();
  return value >= 10 ? value.toFixed(1) : value.toFixed(2).replace(/0$/, '').replace(/\.0$/, '');
}

export const count = (value) => Math.round(value).toLocaleString('en');

export function bytes(value) {
  if (value < 1000) return `${Math.round(value)} B`;
  const unit = ['kB', 'MB', 'GB', 'TB'].find((_, index) => value < 999.5 * 1000 ** (index + 1)) ?? 'TB';
  const scaled = value / 1000 ** (['kB', 'MB', 'GB', 'TB'].indexOf(unit) + 1);
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${unit}`;
}

/** A wait, from seconds. */
export function wait(seconds) {
  if (seconds === null) return '–';
  if (seconds < 0.001) return `${figures(seconds * 1e6)} µs`;
  return seconds < 1 ? `${figures(seconds * 1000)} ms` : `${figures(seconds)} s`;
}

/** A span of two units at most: "2 h 14 m". */
export function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} m` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

export const clock = (ms) => new Date(ms).toTimeString().slice(0, 8);
export const percent = (share) => `${Math.round(share * 100)} %`;
export const words = (reason) => ({
  client_gone: 'client vanished', upstream_closed: 'backend closed', stalled: 'too slow', cut: 'cut by the drain',
  operator: 'by an operator', auth_failed: 'auth server failed', limited: 'per-client limit', full: 'all places taken',
  down: 'backend down', slow: 'backend too slow', refused: 'backend refused',
}[reason] ?? reason.replaceAll('_', ' '));

/** Returns an element with these attributes and children; what is null is left out. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 't') element.dataset.t = value;
    else if (key === 'width') element.style.width = value;
    else if (key === 'grow') element.style.flexGrow = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The same for what is drawn. */
export function svg(name, attributes, text) {
  const element = document.createElementNS($('wait').namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

export const $ = (id) => document.getElementById(id);

/** Sets a text only where it differs, so that what is selected stays. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
