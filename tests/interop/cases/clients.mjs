// The examples of docs/clients.md, each unchanged but for the address, in front of the shipped configuration.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { here, PYTHON, start } from '../lib/processes.mjs';

const PAGE = readFileSync(new URL('../../../docs/clients.md', import.meta.url), 'utf8');

/** How each language is run, with the script on the standard input. */
const RUNS = { js: [process.execPath, ['--input-type=module']], python: [PYTHON, ['-']] };

const EXAMPLES = [...PAGE.matchAll(/^## ([^\n]+)\n(?:(?!^## )[^])*?```(js|python)\n([^]*?)```\n\n```text\n([^]*?)```/gm)];

const cases = EXAMPLES.map(([, heading, language, script, shown]) => ({
  name: `the example of "${heading}"${language === 'python' ? ' by python-socketio' : ''} prints what it shows`,
  async client(t) {
    const [file, args] = RUNS[language];
    // The packages of JavaScript are looked for from here.
    const child = start(file, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: here('..') });
    t.defer(() => child.kill('SIGKILL'));
    let [printed, complaints] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (complaints += text));
    child.stdin.end(script.replaceAll('//127.0.0.1:8080', t.url.slice(t.url.indexOf('//'))));
    const [code] = await once(child, 'close');
    t.log('example', 'ended', code);
    t.assert.equal(code, 0, complaints);
    t.assert.equal(printed, shown, complaints);
  },
}));

if (cases.length !== 4) throw new Error(`${cases.length} examples`);

export default {
  name: 'clients in docs',
  ways: ['proxy'],
  backend: 'none',
  cases: cases.map((test) => ({
    transports: ['none'],
    quick: ['none'],
    timeout: 60_000,
    proxiedOnly: true,
    config: { shipped: true },
    ...test,
  })),
};
