// Which client was seen to work with which backend: the table in docs/versions.md, between its two marks.

import { readFile, writeFile } from 'node:fs/promises';

const FILE = new URL('../../../docs/versions.md', import.meta.url);
const [BEGIN, END] = ['<!-- tests/interop/run writes and checks this table -->\n', '<!-- end of the table -->'];
const TRANSPORTS = { polling: 'polling', websocket: 'WebSocket', upgrade: 'upgrade', jsonp: 'JSONP' };

/** The cells of the table, and the verdicts on the cases that stand for each. */
export class Matrix {
  #cells = new Map();
  #clients = new Map();
  #backends = new Set();

  /** `suites` are all that have cells; each names its `cell: { client, backend, way }`. */
  constructor(suites) {
    for (const { cell, cases } of suites) {
      this.#backends.add(cell.backend);
      for (const transport of cases.flatMap((test) => test.transports)) {
        if (!this.#clients.has(cell.client)) this.#clients.set(cell.client, new Set());
        this.#clients.get(cell.client).add(transport);
        this.#cell(cell, transport).way = cell.way;
        this.#cell(cell, transport).wanted += 1;
      }
    }
  }

  add({ suite: { cell }, transport }, verdict) {
    if (cell) this.#cell(cell, transport).verdicts.push(verdict);
  }

  /** Whether every case of every cell has run. */
  get complete() {
    return [...this.#cells.values()].every(({ verdicts, wanted }) => verdicts.length === wanted);
  }

  /** Puts what was seen into the file. */
  async write() {
    const text = await readFile(FILE, 'utf8');
    const [head, , tail] = split(text);
    await writeFile(FILE, head + BEGIN + this.#table() + END + tail);
  }

  /** What the file says otherwise than was seen, as lines to be shown; none where it is true. */
  async faults() {
    const [, said] = split(await readFile(FILE, 'utf8'));
    const seen = this.#table();
    if (said === seen) return [];
    const lines = (text, others, sign) =>
      text
        .split('\n')
        .filter((line) => !others.includes(line))
        .map((line) => sign + line);
    return [...lines(said, seen, '- '), ...lines(seen, said, '+ '), '(--write puts in what was seen)'];
  }

  #cell({ client, backend }, transport) {
    const key = [client, transport, backend].join('\n');
    if (!this.#cells.has(key)) this.#cells.set(key, { verdicts: [], wanted: 0 });
    return this.#cells.get(key);
  }

  #table() {
    const backends = [...this.#backends];
    const row = (cells) => `| ${cells.join(' | ')} |\n`;
    const rows = [...this.#clients].flatMap(([client, transports]) =>
      [...transports].map((transport) => {
        const cells = backends.map((backend) => word(this.#cell({ client, backend }, transport)));
        return row([client, TRANSPORTS[transport], ...cells]);
      }),
    );
    return [row(['client', 'transport', ...backends]), row(['---', '---', ...backends.map(() => '---')]), ...rows].join(
      '',
    );
  }
}

const word = ({ verdicts, way }) => (verdicts.every((verdict) => verdict === 'passed') ? way : 'fails');

function split(text) {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${FILE.pathname} has no place for the table: ${BEGIN.trim()}, ${END}`);
  return [text.slice(0, begin), text.slice(begin + BEGIN.length, end), text.slice(end + END.length)];
}
