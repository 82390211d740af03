// Numbers, scales and charts.

// Rounded down, as in the table on the terminal.
const number = (value, digits = 0, least = 0) => value == null ? '–'
  : value.toLocaleString('en', { minimumFractionDigits: least, maximumFractionDigits: digits, roundingMode: 'trunc' });
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? '' : 's'}`;
// Three figures, with the unit apart.
function millis(us) {
  const digits = us < 1e4 ? 2 : us < 1e5 ? 1 : 0;
  return us == null ? ['–', ''] : [number(us / 1000, digits, digits), 'ms'];
}
function bytes(count) {
  if (count == null) return ['–', ''];
  if (count < 1000) return [number(count), 'B'];
  return count < 1e6 ? [number(count / 1e3, 1, 1), 'kB'] : [number(count / 1e6, 1, 1), 'MB'];
}
const said = parts => parts.join(' ').trim();
const axis = us => us < 1e3 ? `${us} µs` : us < 1e6 ? `${us / 1e3} ms` : `${us / 1e6} s`;
const escaped = text => String(text).replace(/[&<>"]/g, sign => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);

function linear(low, high) {
  const span = high - low || 1;
  const rough = span / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough);
  const top = Math.ceil(high / step - 1e-9) * step || step;
  const marks = [];
  for (let mark = low; mark <= top + step / 1e6; mark += step) marks.push(mark);
  return { marks, place: value => (value - low) / (top - low) };
}
// As long as the run, with marks at whole steps.
function time(seconds) {
  const { marks } = linear(0, seconds);
  return { marks: marks.filter(mark => mark <= seconds), place: value => value / (seconds || 1) };
}
function logarithmic(low, high, base) {
  const first = Math.floor(Math.log(low) / Math.log(base) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log(high) / Math.log(base) - 1e-9));
  const marks = Array.from({ length: last - first + 1 }, (_, index) => base ** (first + index));
  return { marks, place: value => (Math.log(value) / Math.log(base) - first) / (last - first) };
}
// 90, 99, 99.9 and so on, each as far from the next.
function nines(highest) {
  const far = percentile => -Math.log10(1 - percentile / 100);
  const count = Math.max(2, Math.ceil(far(highest)));
  const marks = [50, ...Array.from({ length: count }, (_, index) => 100 - 10 ** (1 - index))].filter(mark => mark > 0);
  return { marks, place: percentile => Math.min(far(percentile) / count, 1) };
}

// How a kind of session is drawn. A line of upgrading sessions is amber with teal dashes.
function strokes(kind, width = 2.2) {
  const plain = colour => `fill="none" stroke-linejoin="round" stroke-width="${width}" stroke="${colour}"`;
  if (kind === 'before') return [`${plain('var(--soft)')} stroke-dasharray="4 4"`];
  if (kind === 'down') return [`${plain('var(--polling-line)')} stroke-dasharray="6 5"`];
  if (kind === 'upgrade') return [plain('var(--polling-line)'), `${plain('var(--websocket-line)')} stroke-dasharray="5 5"`];
  return [plain(`var(--${kind}-line)`)];
}
const sample = kind => `<svg viewBox="0 0 18 8" aria-hidden="true">${strokes(kind, 3).map(stroke => `<path d="M0 4h18" ${stroke}/>`).join('')}</svg>`;

// `series`: { name, kind, points: [[x, y]], fine, dots, level }. A level is a line from side to side, and a gap has no y.
// `stalls`: [from, to, text].
function chart({ width = innerWidth < 700 ? 420 : 520, series, x, y, label, xText, yText, stalls = [] }) {
  const [height, left, right, top, bottom] = [290, 62, 30, 26, 30];
  const px = value => left + x.place(value) * (width - left - right);
  const py = value => height - bottom - Math.min(1, Math.max(0, y.place(value))) * (height - top - bottom);
  const parts = [];
  for (const [from, to, text] of stalls) {
    parts.push(`<rect class="stall" x="${px(from)}" y="${top}" width="${Math.max(2, px(to) - px(from))}" height="${height - top - bottom}"/>`,
      `<text x="${(px(from) + px(to)) / 2}" y="${top - 8}" text-anchor="middle">${text}</text>`);
  }
  for (const mark of y.marks) {
    parts.push(`<line class="rule" x1="${left}" x2="${width - right}" y1="${py(mark)}" y2="${py(mark)}"/>`,
      `<text x="${left - 8}" y="${py(mark) + 4}" text-anchor="end">${yText(mark)}</text>`);
  }
  for (const mark of x.marks) {
    parts.push(`<line class="rule" x1="${px(mark)}" x2="${px(mark)}" y1="${top}" y2="${height - bottom}"/>`,
      `<text x="${px(mark)}" y="${height - bottom + 20}" text-anchor="middle">${xText(mark)}</text>`);
  }
  for (const { name, kind, points, fine, dots, level } of series) {
    const places = level == null ? points.map(([a, b]) => b == null ? null : [px(a), py(b)]) : [[left, py(level)], [width - right, py(level)]];
    // A gap begins a new stroke.
    const path = places.map((place, index) => place && `${places[index - 1] ? 'L' : 'M'}${place.map(value => value.toFixed(1)).join(' ')}`).filter(Boolean).join('');
    parts.push(...strokes(kind, fine ? 1.2 : 2.2).map(stroke => `<path d="${path}" ${stroke}><title>${name}</title></path>`));
    if (dots) {
      places.forEach((place, index) => parts.push(`<circle cx="${place[0]}" cy="${place[1]}" r="4" fill="var(--polling-line)">` +
        `<title>${name}: ${xText(points[index][0])}, ${yText(points[index][1])}</title></circle>`));
    }
  }
  return `<svg class="plot" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(label)}">${parts.join('')}</svg>`;
}

// A chart's numbers, for who can't see it.
function numbers(head, rows) {
  const row = (cells, tag) => `<tr>${cells.map((cell, index) => tag === 'th' || !index ? `<th scope="${index && tag === 'td' ? 'row' : tag === 'th' ? 'col' : 'row'}">${cell}</th>` : `<td>${cell}</td>`).join('')}</tr>`;
  return `<details><summary>As numbers</summary><div tabindex="0" role="region" aria-label="${escaped(head[0])}"><table><thead>${row(head, 'th')}</thead>` +
    `<tbody>${rows.map(cells => row(cells, 'td')).join('')}</tbody></table></div></details>`;
}
