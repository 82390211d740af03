// What there is to show: each kind of session by its name.
const NAMES = { polling: 'Polling', streaming: 'Streaming', upgrade: 'Upgrading', websocket: 'WebSocket' };
const kinds = Object.keys(NAMES).map(name => [name, run.transports[name]]).filter(([, tally]) => tally?.sessions > 0);
const measured = kinds.filter(([, tally]) => tally.answered > 0);
const was = name => before?.transports[name]?.answered > 0 ? before.transports[name] : null;
const word = name => name === 'websocket' ? 'WebSocket' : NAMES[name].toLowerCase();
const main = document.getElementById('main');
const isNarrow = innerWidth < 700;
const byId = id => document.getElementById(id);
const perSecond = of => of && of.answered / of.seconds;

// The head.
{
  const host = new URL(run.url).host;
  byId('title').textContent = document.title = `Load test of ${host}${before ? ', compared' : ''}`;
  const day = (date, options) => new Date(date).toLocaleString('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'long', year: 'numeric', ...options });
  const pace = run.rate == null ? 'the next message when all earlier ones are answered' : run.rate === 0 ? 'idle' : `${plural(run.rate, 'message')} a second each`;
  const protocol = run.eio ? `Engine.IO ${run.eio}${run.socketio ? ', Socket.IO events' : ''}` : run.dialect === 'websocket' ? 'plain WebSocket' : run.dialect;
  const what = [`${day(run.date, { hour: '2-digit', minute: '2-digit' })} UTC. Polliwog ${run.version}, ${run.machine}.`,
    `${plural(run.sessions, 'session')}, ${protocol}, ${pace}, ${plural(run.size, 'byte')}, ${number(run.seconds, 1)} s.`].map(escaped);
  if (before) {
    const other = [['command', 'Another command'], ['machine', 'Another machine']].filter(([key]) => before[key] !== run[key]);
    what.push(escaped(`Beside ${before.date ? day(before.date) : 'an earlier run'}, ${before.version ?? 'an earlier version'}.`),
      other.length ? other.map(([key, text]) => `<span class="bad">${text}: ${escaped(before[key] ?? 'unknown')}.</span>`).join(' ') : 'Same command, same machine.');
  }
  byId('what').innerHTML = what.join(' ');
  byId('command').textContent = run.command;
  byId('copy').onclick = ({ target }) => navigator.clipboard.writeText(run.command).then(() => { target.textContent = 'Copied'; });
  const isBad = run.lost + run.duplicated + run.reordered > 0 || run.disconnected > 0 || run.answered === 0;
  byId('verdict').classList.toggle('bad', isBad);
  byId('verdict').textContent = run.answered === 0 ? '✕ Nothing was answered'
    : `${isBad ? '✕' : '✓'} ${number(run.answered)} answered: ${number(run.lost)} lost, ${number(run.duplicated)} duplicated, ${number(run.reordered)} reordered`
      + (run.disconnected ? `, ${number(run.disconnected)} of ${number(run.connected)} disconnected` : '');
}

// The hero: what a message costs, beside a WebSocket where there is one.
const payload = 2 * run.size;
function ratio(of) {
  const [polling, socket] = ['polling', 'websocket'].map(name => of?.transports[name]?.bytes_per_message);
  return polling && socket && polling / socket;
}
function hero() {
  const now = ratio(run), then = before && ratio(before);
  const first = (text, figure, second) => `<div><p class="first">${text}</p><div class="number">${figure}</div><p>${second}</p></div>`;
  if (now >= 1.3) {
    const times = value => number(value, value < 10 ? 1 : 0, value < 10 ? 1 : 0);
    return first('For each message, polling takes', `${times(now)}<small>×</small>`, `the bytes of a WebSocket.${then ? ` It was ${times(then)}×.` : ''}`);
  }
  if (now) {
    const less = Math.abs(1 - now) * 100;
    return first('For each message, polling takes', `${number(less)}<small>%</small>`, `${now < 1 ? 'fewer' : 'more'} bytes than a WebSocket${now < 1 ? ': answers are compressed' : ''}.`);
  }
  const [name, tally] = measured[0];
  const [figure, unit] = bytes(tally.bytes_per_message);
  return first(`For each message, ${word(name)} takes`, `${figure}<small class="unit"> ${unit}</small>`, `on the wire, ${said(bytes(payload))} of which are the message and its answer.`);
}
if (measured.length) {
  const most = Math.max(...measured.flatMap(([name, tally]) => [tally.bytes_per_message, was(name)?.bytes_per_message ?? 0]));
  const bars = measured.map(([name, tally]) => {
    const each = tally.bytes_per_message, then = was(name)?.bytes_per_message;
    const note = then ? `was ${said(bytes(then))}` : tally.requests_per_message < 0.005 ? 'no requests' : `and ${number(tally.requests_per_message, 2, 2)} requests, with its answer`;
    const colours = `--text: var(--${name}); --line: var(--${name === 'upgrade' ? 'ink' : `${name}-line`}); --solid: ${name === 'upgrade' ? 'var(--upgrade-line)' : `var(--${name})`}`;
    return `<b>${NAMES[name]}</b><div class="bar" style="${colours}">` +
      `<span class="track" style="width: ${Math.max(1, each / most * 50)}%; background: var(--${name}-pale)"><i style="width: ${Math.min(100, payload / each * 100)}%"></i></span>` +
      (then ? `<span class="then" style="--off: calc(${(then - each) / most} * 50cqw)"></span>` : '') +
      `<strong>${said(bytes(each))}</strong>${note}</div>`;
  }).join('');
  main.insertAdjacentHTML('beforeend', `<section class="hero" aria-label="What a message costs">${hero()}<div class="bars">${bars}` +
    '<p class="note">Solid is payload, pale is envelope: headers, framing, empty polls, heartbeats. TCP is not counted.</p></div></section>');
}

// The cards.
function change(then, now, isLess, [better, worse]) {
  if (then == null || now == null) return '';
  if (Math.abs(then - now) <= Math.max(then, now) * 0.03) return '<span>about the same</span>';
  const isBetter = (now < then) === isLess;
  return `<span class="${isBetter ? 'good' : 'bad'}">${then ? `${number(Math.abs(now - then) / then * 100)} % ` : ''}${isBetter ? better : worse}</span>`;
}
{
  const split = (read, show) => measured.length > 1 ? measured.map(([name, tally]) => `<span style="color: var(--${name})">${word(name)} ${show(read(tally))}</span>`).join(' ') : '';
  const latency = (title, key) => [title, millis(run.latency_us[key]), before ? `<span>was ${said(millis(before.latency_us[key]))}</span> ` + change(before.latency_us[key], run.latency_us[key], true, ['faster', 'slower'])
    : split(tally => tally.latency_us[key], us => millis(us)[0])];
  const planned = run.rate ? run.rate * run.sessions : null;
  const cards = [
    latency('Round trip, median', 'p50'), latency('Round trip, p99', 'p99'),
    ['Answered', [number(perSecond(run)), 'a second'], before ? `<span>was ${number(perSecond(before))}</span> ` + change(perSecond(before), perSecond(run), false, ['more', 'fewer'])
      : planned ? `of ${number(planned)} planned` : `${number(run.answered)} in all`],
    ['Connected', [number(run.connected), `of ${number(run.sessions)}`], before ? `<span>was ${number(before.connected)}, ${number(before.disconnected)} disconnected</span>` + (run.disconnected === before.disconnected ? '' : change(before.disconnected, run.disconnected, true, ['fewer', 'more']))
      : `<span${run.failed + run.disconnected ? ' class="bad"' : ''}>${number(run.failed)} failed, ${number(run.disconnected)} disconnected</span>`],
  ];
  main.insertAdjacentHTML('beforeend', `<section class="cards" aria-label="Figures">${cards.map(([title, [figure, unit], below]) =>
    `<div class="card"><p>${title}</p><div class="figure">${figure}<small>${unit}</small></div><p class="split">${below}</p></div>`).join('')}</section>`);
}

function row(extra = '') {
  const grid = document.createElement('div');
  grid.className = `charts ${extra}`;
  main.append(grid);
  return grid;
}
function card(into, title, scale, series, body, about = '') {
  const names = new Map(series.filter(({ fine }) => !fine).map(({ name, kind }) => [name, kind]));
  const key = [...names].map(([name, kind]) => `<span>${sample(kind)}${name}</span>`).join('');
  into.insertAdjacentHTML('beforeend', `<section class="card chart"><div class="top"><h2>${title}</h2><div class="key">${key}</div><span class="scale">${scale}</span></div>${about && `<p>${about}</p>`}${body}</section>`);
}

// Round trips: over time, and how long the slowest took.
if (measured.length) {
  const grid = row('first');
  const over = measured.map(([name, tally]) => [name, tally.latency_us_over_time]);
  const span = over[0][1].span_seconds;
  const points = (list, of) => list.map((us, index) => [(index + 0.5) * span, us && Math.max(us, 1), of]);
  const series = over.flatMap(([name, { p50, p99 }]) => [
    { name: word(name), kind: name, points: points(p99) }, { name: `${word(name)}, median`, kind: name, points: points(p50), fine: true }]);
  if (before) {
    const lists = Object.values(before.transports).map(tally => tally.latency_us_over_time).filter(Boolean);
    const longest = Math.max(0, ...lists.map(({ p99 }) => p99.length));
    const worst = Array.from({ length: longest }, (_, index) => Math.max(...lists.map(({ p99 }) => p99[index] ?? 0)) || null);
    const step = lists[0]?.span_seconds ?? span;
    if (longest) series.push({ name: 'before', kind: 'before', points: worst.map((us, index) => [(index + 0.5) * step, us]).filter(([at]) => at <= run.seconds) });
  }
  const values = series.flatMap(({ points }) => points.map(([, us]) => us)).filter(Boolean);
  // A stall: nobody was answered, between two spans in which somebody was.
  const silent = over[0][1].p50.map((_, index) => over.every(([, { p50 }]) => p50[index] == null));
  const stalls = [];
  for (let index = silent.indexOf(false); run.rate && index < silent.lastIndexOf(false); index++) {
    let end = index;
    while (silent[end]) end++;
    // Each session is silent for as long between two bursts.
    if ((end - index) * span > run.burst / run.rate) stalls.push([index * span, end * span, `stall of ${number((end - index) * span, 1, 1)} s`]);
    index = end;
  }
  const text = measured.map(([name, tally]) => `${word(name)} ${said(millis(tally.latency_us.p50))} in the median, ${said(millis(tally.latency_us.p99))} at the 99th percentile`).join('; ');
  card(grid, 'Round trip over time', 'p99, and the median fine; log scale', series, chart({
    width: isNarrow ? 420 : 760, series, stalls, x: time(run.seconds), y: logarithmic(Math.min(...values), Math.max(...values), 10), label: `Round trip over time: ${text}`,
    xText: mark => `${number(mark, 1)} s`, yText: axis,
  }) + numbers(['Seconds', ...measured.map(([name]) => `${word(name)}, p50 / p99`)], over[0][1].p50.map((_, index) =>
    [number((index + 0.5) * span, 1, 1), ...over.map(([, { p50, p99 }]) => `${said(millis(p50[index]))} / ${said(millis(p99[index]))}`)])));

  const all = measured.map(([name, tally]) => ({
    name: word(name), kind: name, points: tally.distribution.filter(([percentile]) => percentile < 100).map(([percentile, us]) => [percentile, Math.max(us, 1)]),
  })).filter(({ points }) => points.length);
  if (before?.distribution) all.push({ name: 'before', kind: 'before', points: before.distribution.filter(([percentile]) => percentile < 100).map(([percentile, us]) => [percentile, Math.max(us, 1)]) });
  const took = all.flatMap(({ points }) => points.map(([, us]) => us));
  const highest = Math.max(...all.flatMap(({ points }) => points.map(([percentile]) => percentile)));
  card(grid, 'Round trip by percentile', 'log scales', all, chart({
    series: all, x: nines(Math.min(highest, 99.9999)), y: logarithmic(Math.min(...took), Math.max(...took), 10), label: `Round trip by percentile: ${text}`,
    xText: mark => `p${+mark.toFixed(4)}`, yText: axis,
  }), run.rate ? 'From when a message was due to be sent until its answer.' : '');
}

// What each message costs, by the number of messages in a request.
for (const [, tally] of kinds.filter(([name, tally]) => name === 'polling' && tally.polls.length + tally.posts.length)) {
  const grid = row();
  const mean = batch => batch.messages / batch.requests;
  const line = (name, kind, batches, of) => ({ name, kind, dots: true, points: batches.map(batch => [mean(batch), of(batch) / batch.messages]) });
  const both = of => [line('to the server (POST)', 'polling', tally.posts, of), line('to the client (poll)', 'down', tally.polls, of)].filter(({ points }) => points.length);
  const x = logarithmic(1, Math.max(2, ...[...tally.posts, ...tally.polls].map(mean)), 2);
  const xText = size => number(size, 1);
  const wire = both(batch => batch.bytes);
  const heights = wire.flatMap(({ points }) => points.map(([, count]) => count));
  const per = run.transports.websocket?.bytes_per_message;
  if (per) {
    wire.push({ name: 'WebSocket, each direction', kind: 'websocket', level: per / 2, points: [] });
    heights.push(per / 2);
  }
  card(grid, 'Bytes by the size of a batch', 'log scales', wire, chart({
    series: wire, x, y: logarithmic(Math.min(...heights), Math.max(...heights), 10), label: 'Bytes for each message by the number of messages in a request',
    xText, yText: count => said(bytes(count)).replace('.0 ', ' '),
  }), 'For each message, by the number of messages in a request.');
  const requests = both(batch => batch.requests);
  card(grid, 'Requests by the size of a batch', '', requests, chart({
    series: requests, x, y: linear(0, 1), label: 'Requests for each message by the number of messages in a request', xText, yText: mark => number(mark, 2),
  }), 'For each message, by the number of messages in a request. A WebSocket needs none.');
}

// The figures, side by side.
{
  const columns = kinds.length > 1 ? [...kinds, ['all', run]] : kinds;
  const rows = [
    ['Connected', t => number(t.connected) + (t.failed ? ` (${number(t.failed)} failed)` : ''), t => t.failed],
    ['Disconnected', t => number(t.disconnected), t => t.disconnected],
    ['Connect, p50 / p99', t => `${said(millis(t.connect_us.p50))} / ${said(millis(t.connect_us.p99))}`],
    ['Answered', t => number(t.answered)],
    ['Lost / duplicated / reordered', t => [t.lost, t.duplicated, t.reordered].map(n => number(n)).join(' / '), t => t.lost + t.duplicated + t.reordered],
    ...['p50', 'p90', 'p99', 'p99.9', 'max'].map(p => [`Round trip, ${p}`, t => said(millis(t.latency_us[p]))]),
    ['Requests for each message', t => number(t.requests_per_message, 2, 2)],
    ['Bytes for each message', t => said(bytes(t.bytes_per_message))],
    ['Bytes for each connect', t => said(bytes(t.connected ? t.connect_bytes / t.connected : null))],
  ];
  const head = columns.map(([name]) => `<th scope="col">${name === 'all' ? 'All' : `${sample(name)} ${NAMES[name]}`}</th>`).join('');
  const body = rows.map(([label, read, isBad = () => 0]) => `<tr><th scope="row">${label}</th>` +
    columns.map(([, tally]) => `<td${isBad(tally) ? ' class="bad"' : ''}>${read(tally)}</td>`).join('') + '</tr>').join('');
  main.insertAdjacentHTML('beforeend', `<section class="card wide key-table" tabindex="0" aria-label="All figures"><h2>All figures</h2><table><thead><tr><td></td>${head}</tr></thead><tbody>${body}</tbody></table></section>`);
}
const errors = Object.entries(run.errors);
if (errors.length) {
  main.insertAdjacentHTML('beforeend', '<section class="card wide" tabindex="0" aria-label="Errors"><h2>Errors</h2><p>By kind, each with its first example.</p><table><tbody>' + errors.map(([kind, { count, example }]) =>
    `<tr><th scope="row">${escaped(kind)}</th><td>${number(count)}</td><td class="words">${escaped(example)}</td></tr>`).join('') + '</tbody></table></section>');
}
