// The stage: clients, Polliwog and the backend as three lanes, and what travels between them.

import { Travel } from './travel.js';
import { size } from './numbers.js';

const REFRESH_MS = 10_000;
const SNAP_MS = 250;
const $ = (id) => document.getElementById(id);

/** Where the lanes are, in parts of the width: on a wide canvas, and on a phone's. */
const WIDE = { name: 0.022, from: 0.196, edge: 0.486, pond: 0.611, back: 0.807, end: 0.978, rows: 132, head: 38, foot: 16 };
const SMALL = { name: 0.045, from: 0.045, edge: 0.52, pond: 0.66, back: 0.785, end: 0.955, rows: 92, head: 30, foot: 12 };

export class Stage {
  #canvas = $('stage');
  #context = this.#canvas.getContext('2d');
  #panes = [];
  #line;
  #travel = new Travel();
  #colours = {};
  #width = 0;
  #height = 0;
  #frame;
  #cutAt;
  #still = matchMedia('(prefers-reduced-motion: reduce)');

  /** `line` says whether WebSocket is blocked. */
  constructor(line) {
    this.#line = line;
    const dark = matchMedia('(prefers-color-scheme: dark)');
    for (const query of [dark, matchMedia('(forced-colors: active)')]) query.addEventListener('change', () => this.#paint());
    new ResizeObserver(() => this.#fit()).observe(this.#canvas.parentElement);
    this.#paint();
    setInterval(() => this.#describe(), REFRESH_MS);
    // Waiting polls count their seconds; all else moves by itself.
    setInterval(() => this.draw(), 1000);
  }

  /** The panes that are shown from now on. */
  show(panes) {
    for (const pane of panes.filter((one) => !this.#panes.includes(one))) {
      pane.wire.addEventListener('exchange', ({ detail }) => {
        if (document.hidden) return;
        this.#travel.add(pane, detail);
        this.draw();
      });
    }
    this.#panes = panes;
    this.#travel.keep(panes);
    this.#fit();
    this.#describe();
  }

  /** Draws a frame, and further ones for as long as something moves. */
  draw() {
    if (this.#frame || document.hidden) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      const now = performance.now();
      this.#all(now);
      const snaps = this.#cutAt && now - this.#cutAt < SNAP_MS;
      if ((!this.#still.matches && this.#travel.isMoving(now)) || snaps) this.draw();
    });
  }

  #paint() {
    const style = getComputedStyle(document.documentElement);
    this.#colours = new Proxy({}, { get: (_, name) => style.getPropertyValue(`--${name}`) });
    this.draw();
  }

  #fit() {
    const { clientWidth: width } = this.#canvas.parentElement;
    const places = width < 640 ? SMALL : WIDE;
    const rows = Math.max(this.#panes.length, 1);
    const row = rows > 2 ? places.rows * 0.76 : places.rows;
    const height = places.head + rows * row + places.foot;
    const scale = devicePixelRatio;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#canvas.style.height = `${height}px`;
    [this.#width, this.#height] = [width, height];
    this.#context.setTransform(scale, 0, 0, scale, 0, 0);
    this.#all(performance.now());
  }

  #all(now) {
    const [c, width, height] = [this.#context, this.#width, this.#height];
    const places = width < 640 ? SMALL : WIDE;
    const x = Object.fromEntries(['name', 'from', 'edge', 'pond', 'back', 'end'].map((key) => [key, places[key] * width]));
    const isSmall = places === SMALL;
    c.clearRect(0, 0, width, height);
    this.#font(isSmall ? 11 : 12);
    this.#text('soft', isSmall ? 'Clients' : 'Your clients', x.name, 22);
    this.#text('soft', 'Polliwog', (x.edge + x.pond) / 2, 22, 'center');
    this.#text('soft', 'Backend', isSmall ? (x.back + x.end) / 2 : x.back + 24, 22, isSmall ? 'center' : 'left');
    const top = places.head - 4;
    this.#box(x.edge, top, x.pond - x.edge, height - top - 12, 24, 'websocket-wash', 'websocket-envelope');
    this.#box(x.back, top, x.end - x.back, height - top - 12, 12, 'well', 'edge');
    this.#backend(x, top, height, isSmall);
    this.#tadpole((x.edge + x.pond) / 2, (top + height - 12) / 2, isSmall ? 0.85 : 1.6);
    if (!this.#line.cut) this.#cutAt = undefined;
    else this.#cutAt ??= now;
    const row = (height - places.head - places.foot) / Math.max(this.#panes.length, 1);
    this.#panes.forEach((pane, index) => {
      const y = places.head + row * (index + 0.5) + (isSmall ? 8 : 0);
      this.#row(pane, { x, y, row, isSmall, now });
    });
  }

  #row(pane, at) {
    const { x, y, row, isSmall, now } = at;
    const { client, row: told } = pane;
    const [hue, isOn] = [pane.hue, client.isConnected];
    const isLine = client.state === 'websocket';
    const gap = isSmall ? 11 : Math.min(row / 6, 20);
    const [upper, lower] = isLine ? [y, y] : [y - gap, y + gap];
    this.#name(pane, at);
    const c = this.#context;
    c.lineWidth = 1.6;
    c.strokeStyle = this.#colours[isOn ? `${hue}-line` : 'edge'];
    c.globalAlpha = 0.6;
    if (isLine) this.#stroke([[x.from, y], [x.pond, y]]);
    else {
      for (const track of [upper, lower]) {
        // A stream's answer is a line of its own; a request comes and goes.
        const isStream = track === lower && (client.state === 'streaming' || client.state === 'longpoll');
        c.setLineDash(isStream ? [] : [1.6, 4]);
        this.#stroke([[x.from, track], [x.edge, track]]);
        c.setLineDash([]);
        const middle = (x.edge + x.pond) / 2;
        c.beginPath();
        c.moveTo(x.edge, track);
        c.bezierCurveTo(middle, track, middle, y, x.pond, y);
        c.stroke();
      }
    }
    c.strokeStyle = this.#colours[isOn ? 'websocket-line' : 'edge'];
    this.#stroke([[x.pond, y], [x.back, y]]);
    c.globalAlpha = 1;
    this.#labels(pane, { ...at, upper, isLine });
    const isCut = this.#line.cut && told.wanted === 'websocket';
    if (isCut && this.#still.matches) this.#snap(x, y, now, isSmall);
    if (this.#still.matches) return this.#counts(pane, { ...at, upper, isLine });
    const share = this.#panes.length > 2 ? 0.52 : 0.72;
    const tracks = { x, y, upper, lower, share: isSmall ? share * 0.8 : share, isSmall, told: new Set() };
    for (const dot of this.#travel.of(pane, now)) this.#dot(dot, tracks);
    if (isCut) this.#snap(x, y, now, isSmall);
  }

  #name(pane, { x, y, row, isSmall }) {
    const c = this.#context;
    const top = isSmall ? y - row / 2 + 12 : y - 9;
    c.fillStyle = this.#colours[`${pane.hue}-line`];
    c.beginPath();
    c.arc(x.name + 5, top, isSmall ? 4 : 5.5, 0, 7);
    c.fill();
    this.#font(isSmall ? 12 : 15, 600);
    this.#text('ink', pane.name, x.name + (isSmall ? 15 : 20), top + (isSmall ? 4 : 5));
    const { width } = c.measureText(pane.name);
    this.#font(isSmall ? 11 : 12.5);
    const what = pane.client.isConnected ? pane.row.what : pane.state;
    // There is no room for more than the transport.
    if (isSmall) this.#text('soft', pane.state, x.name + 25 + width, top + 4);
    else this.#text('soft', what, x.name + 20, top + 27);
  }

  #labels(pane, { x, y, upper, isLine, isSmall, now }) {
    const waiting = pane.waitsSince;
    if (waiting && !isLine) {
      const c = this.#context;
      c.lineWidth = 2.5;
      c.strokeStyle = this.#colours[`${pane.hue}-line`];
      c.fillStyle = this.#colours.sheet;
      c.beginPath();
      c.arc(x.edge, upper, isSmall ? 5 : 8, 0, 7);
      c.fill();
      c.stroke();
      c.fillStyle = c.strokeStyle;
      c.beginPath();
      c.arc(x.edge, upper, 2.5, 0, 7);
      c.fill();
    }
    if (isSmall) return;
    this.#font(12);
    const seconds = waiting && Math.floor((now - waiting) / 1000);
    if (pane.fellBack !== undefined && this.#line.cut) {
      this.#text('soft', `fell back to polling in ${(pane.fellBack / 1000).toFixed(1)} s`, x.edge - 16, upper - 10, 'right');
    } else if (seconds >= 1 && !isLine) {
      const name = pane.client.state === 'polling' ? 'next poll, waiting' : 'answer, open for';
      this.#text('soft', `${name} ${seconds} s`, x.edge - 16, upper - 10, 'right');
    }
    if (isLine) this.#text('soft', 'one connection, open both ways', x.from + 64, y + 22);
    if (pane.client.isConnected) {
      const whose = pane.node ? `from node ${pane.node}` : `for client ${pane.row.letter}`;
      const back = pane.row.backend ?? `${pane.fellBack === undefined ? 'a' : 'a new'} WebSocket ${whose}`;
      this.#text('soft', back, x.pond + 20, y + 22);
    }
  }

  /** Without motion: how many wait at the edge, and how many messages crossed in the last second. */
  #counts(pane, { x, y, upper, isLine, isSmall }) {
    this.#font(isSmall ? 11 : 12);
    const rate = this.#travel.rate(pane);
    const waits = pane.waitsSince && !isLine ? '1 waiting, ' : '';
    this.#text(`${pane.hue}-text`, `${waits}${rate}/s`, x.from + 10, (isLine ? y : upper) - 9);
    this.#text('websocket-text', `${rate}/s`, x.pond + (isSmall ? 6 : 20), y - 9);
  }

  #dot({ part, way, bytes, payload, count, label, isFrame, leg, hue }, { x, y, upper, lower, share, isSmall, told }) {
    const c = this.#context;
    const [near, far] = leg === 'client' ? [x.from, x.edge] : [x.pond, x.back];
    const [from, to] = way === 'sent' ? [near, far] : [far, near];
    const at = from + (to - from) * part;
    const track = leg === 'backend' || isFrame ? y : way === 'sent' ? upper : lower;
    const tail = way === 'sent' ? -1 : 1;
    if (leg === 'backend' || isFrame) {
      c.strokeStyle = this.#colours[leg === 'backend' ? 'websocket-line' : `${hue}-line`];
      c.fillStyle = this.#colours[leg === 'backend' ? 'websocket-text' : `${hue}-text`];
      c.lineWidth = count > 1 ? 5 : 3.5;
      c.lineCap = 'round';
      const far = Math.min(Math.max(at + tail * (isSmall ? 14 : 28), near), leg === 'client' ? x.edge : x.back);
      this.#stroke([[far, track], [at, track]]);
      c.lineCap = 'butt';
      c.beginPath();
      c.arc(at, track, count > 1 ? 5.5 : 4, 0, 7);
      c.fill();
      this.#font(12);
      if (leg === 'client' && !isSmall && !told.has(way)) this.#text(`${hue}-text`, `${size(bytes)}${count > 1 ? `, ${count} messages` : ''}`, at, track - 12, 'center');
      told.add(way);
      return;
    }
    const radius = Math.min(Math.max(share * Math.sqrt(bytes), 3), isSmall ? 18 : share * 50);
    // The trail says where it came from.
    const trail = c.createLinearGradient(at, 0, at + tail * 80, 0);
    trail.addColorStop(0, this.#colours[`${hue}-envelope`]);
    trail.addColorStop(1, `${this.#colours[`${hue}-envelope`].trim()}00`);
    c.globalAlpha = 0.55;
    c.fillStyle = trail;
    const [left, right] = [Math.max(Math.min(at, at + tail * 80), x.from - 10), Math.min(Math.max(at, at + tail * 80), x.edge)];
    c.fillRect(left, track - radius, Math.max(right - left, 0), radius * 2);
    c.globalAlpha = 1;
    c.fillStyle = this.#colours[`${hue}-envelope`];
    c.strokeStyle = this.#colours[`${hue}-line`];
    c.lineWidth = 1.2;
    c.beginPath();
    c.arc(at, track, radius, 0, 7);
    c.fill();
    c.stroke();
    c.fillStyle = this.#colours[`${hue}-text`];
    if (payload) {
      c.beginPath();
      c.arc(at, track, Math.min(Math.max(share * Math.sqrt(payload), 2), radius - 1), 0, 7);
      c.fill();
    }
    this.#font(12);
    // One label a track: those of dots that are close together would cover each other.
    if (isSmall || told.has(track)) return;
    told.add(track);
    const text = `${label} ${size(bytes)}${payload && count > 1 ? `, ${count} messages` : ''}`;
    this.#text(`${hue}-text`, text, at, way === 'sent' ? track - radius - 5 : track + radius + 13, at > x.edge - 60 ? 'right' : 'center');
  }

  /** The line that was cut: two stubs that spring back, and the word between them. */
  #snap(x, y, now, isSmall) {
    const c = this.#context;
    const done = Math.min((now - this.#cutAt) / SNAP_MS, 1);
    const middle = (x.from + x.edge) / 2;
    this.#font(12);
    const text = isSmall ? '✕ blocked' : '✕ WebSocket blocked';
    const half = (c.measureText(text).width / 2 + 12) * (this.#still.matches ? 1 : done);
    c.strokeStyle = this.#colours['websocket-line'];
    c.lineWidth = 1.6;
    for (const [from, to, sign] of [[x.from, middle - half - 14, 1], [x.edge, middle + half + 14, -1]]) {
      this.#stroke([[from, y], [to, y]]);
      for (const step of [4, 9]) this.#stroke([[to + sign * step - 2, y - 5], [to + sign * step + 2, y + 5]]);
    }
    this.#box(middle - half, y - 11, half * 2, 22, 11, 'bad-wash', 'bad-edge');
    if (done === 1 || this.#still.matches) this.#text('bad', text, middle, y + 4, 'center');
  }

  #backend(x, top, height, isSmall) {
    const count = this.#panes.filter(({ client }) => client.isConnected).length;
    const told = `sees ${count} WebSocket${count === 1 ? '' : 's'}`;
    const middle = (top + height - 12) / 2;
    if (isSmall) {
      const c = this.#context;
      c.save();
      c.translate((x.back + x.end) / 2 + 4, middle);
      c.rotate(-Math.PI / 2);
      this.#font(11);
      this.#text('soft', told, 0, 0, 'center');
      return c.restore();
    }
    this.#font(15, 600);
    this.#text('ink', 'The server', x.back + 24, middle - 8);
    this.#font(12.5);
    this.#text('soft', `${told},`, x.back + 24, middle + 14);
    this.#text('soft', 'and nothing of polling', x.back + 24, middle + 32);
  }

  #tadpole(x, y, scale) {
    const c = this.#context;
    c.save();
    c.translate(x - 24 * scale, y - 12 * scale);
    c.scale(scale, scale);
    c.fillStyle = this.#colours['websocket-line'];
    c.fill(new Path2D('M28 8C20 4 18 18 10 14 6 12 5 9 2 11 6 15 8 19 13 19c7 0 9-4 15-3z'));
    c.beginPath();
    c.arc(34, 12, 9, 0, 7);
    c.fill();
    c.fillStyle = this.#colours['websocket-wash'];
    c.beginPath();
    c.arc(37.5, 9.5, 1.7, 0, 7);
    c.fill();
    c.restore();
  }

  #box(x, y, width, height, radius, fill, stroke) {
    const c = this.#context;
    c.beginPath();
    c.roundRect(x, y, width, height, Math.min(radius, width / 2, height / 2));
    c.fillStyle = this.#colours[fill];
    c.strokeStyle = this.#colours[stroke];
    c.lineWidth = 1;
    c.fill();
    c.stroke();
  }

  #stroke(points) {
    const c = this.#context;
    c.beginPath();
    for (const [x, y] of points) c.lineTo(x, y);
    c.stroke();
  }

  #font(px, weight = 400) {
    this.#context.font = `${weight} ${px}px system-ui, sans-serif`;
  }

  #text(colour, text, x, y, align = 'left') {
    const c = this.#context;
    c.fillStyle = this.#colours[colour];
    c.textAlign = align;
    c.fillText(text, x, y);
  }

  /** The same in a sentence, for those who cannot see it. */
  #describe() {
    const told = this.#panes.map((pane) => {
      const { average } = pane.recent;
      const cost = average ? `, ${size(average.bytes)} a message` : '';
      const at = pane.node ? `, at node ${pane.node}` : '';
      return `${pane.name} (${pane.row.what}) is connected to Polliwog by ${pane.state}${at}${cost}`;
    });
    const blocked = this.#line.cut ? ' WebSocket is blocked.' : '';
    const text = `${told.join('; ')}. Polliwog holds a WebSocket to the backend for each.${blocked}`;
    this.#canvas.setAttribute('aria-label', text);
  }
}

