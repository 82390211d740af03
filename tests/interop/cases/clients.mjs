// The examples of docs/clients.md, each unchanged but for the address, in front of the shipped configuration; and that of docs/routes.md.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { here, PYTHON, start } from '../lib/processes.mjs';

const read = (page) => readFileSync(new URL(`../../../docs/${page}`, import.meta.url), 'utf8');
const PAGE = read('clients.md');

/** How each language is run, with the script on the standard input. */
const RUNS = { js: [process.execPath, ['--input-type=module']], python: [PYTHON, ['-']] };

const EXAMPLES = [...PAGE.matchAll(/^## ([^\n]+)\n(?:(?!^## )[^])*?```(js|python)\n([^]*?)```\n\n```text\n([^]*?)```/gm)];

/** Runs a script, which prints what the page shows. */
async function prints(t, [file, args], script, shown) {
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
}

const cases = EXAMPLES.map(([, heading, language, script, shown]) => ({
  name: `the example of "${heading}"${language === 'python' ? ' by python-socketio' : ''} prints what it shows`,
  client: (t) => prints(t, RUNS[language], script, shown),
}));

if (cases.length !== 4) throw new Error(`${cases.length} examples`);

const ROUTES = /```sh\nnpm install engine.io-client\n([^]*?)```\n\nWith an echo server it prints `([^`]*)`/.exec(read('routes.md'));

const common = { transports: ['none'], quick: ['none'], timeout: 60_000, proxiedOnly: true };

export default [
  {
    name: 'clients in docs',
    ways: ['proxy'],
    backend: 'none',
    cases: cases.map((test) => ({ ...common, config: { shipped: true }, ...test })),
  },
  {
    name: 'routes in docs',
    ways: ['proxy'],
    backend: 'ws',
    config: { path: '/engine.io/', route: { dialect: 'engine.io' } },
    cases: [
      {
        ...common,
        name: 'the example of a client of Engine.IO prints what it shows',
        server: (server) => server.on('connection', (socket) => socket.on('message', (data) => socket.send(data.toString()))),
        client: (t) => prints(t, ['sh', ['-e']], ROUTES[1], `${ROUTES[2]}\n`),
      },
    ],
  },
];
