// The examples of docs/longpoll.md, each unchanged but for the address, in front of a plain `ws` server.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { ORIGINS } from '../lib/browser.mjs';
import { start } from '../lib/processes.mjs';

const DOCS = readFileSync(new URL('../../../docs/longpoll.md', import.meta.url), 'utf8');

/** The one example in this language, for a proxy at this URL. */
function example(language, url) {
  const [, text] = new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(DOCS);
  return text.replaceAll('http://127.0.0.1:8080', url);
}

/** Sends each message back in upper case, and closes after `count`. */
const application = (count) => (server, t) =>
  server.on('connection', (socket) => {
    let seen = 0;
    socket.on('message', (data) => {
      t.log('server', 'message', data.toString());
      socket.send(data.toString().toUpperCase());
      if (++seen === count) socket.close(4001, 'enough');
    });
    socket.on('close', (code) => t.log('server', 'close', code));
  });

/** Runs a script to its end. Returns what it printed. */
async function run(t, file, args, script) {
  const child = start(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  t.defer(() => child.kill('SIGKILL'));
  let printed = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (complaints += text));
  child.stdin.end(script);
  const [code] = await once(child, 'close');
  t.assert.equal(code, 0, complaints);
  return printed;
}

const heard = (t) => t.transcript.of('server', 'message').map(([, text]) => text);

const script = (name, language, file, args, messages) => ({
  name: `the example for ${name} sends, receives and ends`,
  server: application(2),
  async client(t) {
    const printed = await run(t, file, args, example(language, t.url));
    t.assert.deepEqual(messages(printed), ['HELLO', 'GOOD BYE']);
    t.assert.deepEqual(heard(t), ['hello', 'good bye']);
  },
});

const lines = (printed) => printed.trim().split('\n');
const json = (printed) => lines(printed).flatMap((line) => JSON.parse(line).messages.map(({ text }) => text));

const cases = [
  script('curl', 'sh', 'sh', [], json),
  script('PHP', 'php', 'php', [], lines),
  script('Python', 'python', 'python3', ['-'], lines),
  {
    name: 'the example for a browser sends, receives and ends',
    ways: ['proxy', 'http2'],
    server: application(3),
    async client(t) {
      const { page } = await t.page(ORIGINS.known);
      await page.setContent(example('html', t.url));
      const shown = page.locator('li');
      for (const text of ['hello', 'good bye', 'a\u2028b']) {
        await page.fill('input', text);
        await page.click('button');
      }
      await shown.getByText('closed').waitFor();
      const texts = await shown.allTextContents();
      t.assert.deepEqual(texts, ['HELLO', 'GOOD BYE', 'A\u2028B', 'closed: 4001']);
      t.assert.deepEqual(heard(t), ['hello', 'good bye', 'a\u2028b']);
    },
  },
];

export default [
  {
    name: 'longpoll in docs',
    backend: 'ws',
    config: {
      path: '/feed/',
      route: { dialect: 'longpoll', cors: { origins: ['*'], headers: ['content-type'] } },
    },
    ways: ['proxy'],
    cases: cases.map((test) => ({ transports: ['none'], quick: ['none'], proxiedOnly: true, timeout: 60_000, ...test })),
  },
];
