// The page of the shipped configuration in a real browser: two clients show what each transport costs, and the cases check it.

import net from 'node:net';
import { isAccessible } from '../lib/axe.mjs';
import { clients, POLLING, WEBSOCKET } from '../lib/demo.mjs';

/** How far the estimate of header bytes may be off. */
const ESTIMATE = 0.1;

/** What the Python package `qrcode` draws for http://192.168.1.20:8080/, row by row, with the mask that the page prefers. */
const CODE =
  '1fc397f826420dd04576ea3ebb75845d8218a0ff555fc00c0018eab1804cdcf4f529ac41263224b5c188070147fcaae814a2b6f39f400eb8a7f5b5660bc22774bbfcba3c35dd342160b26e3fd2749';

/** The page, once both of its clients are connected. `search` is of its address. */
async function open(t, { origin = t.url, search = '' } = {}) {
  const { page } = await t.page(origin);
  // A browser that is closed says no goodbye, and a drain waits for the polls of those who have not.
  t.defer(async () => {
    await page.goto('about:blank');
    await t.quiet(500, 'the goodbyes of a page that is left arrive behind it');
  });
  const demo = clients(t, page);
  await demo.connected();
  // Not before: a page that is left during its handshake has no session yet to say goodbye to, and a drain waits for it.
  if (search) {
    await page.goto(`${origin}/${search}`);
    await demo.connected();
  }
  return demo;
}

/** A relay to the proxy that counts bytes, separately for connections that became a WebSocket. */
async function counter(t) {
  const counted = { requests: 0, socket: 0 };
  const server = net.createServer((client) => {
    const upstream = net.connect(t.port, '127.0.0.1');
    let kind;
    const count = (data) => (counted[kind] += data.length);
    client.on('data', (data) => {
      kind ??= /upgrade: websocket/i.test(data.toString('latin1')) ? 'socket' : 'requests';
      count(data);
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      count(data);
      client.write(data);
    });
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
    t.defer(() => client.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.defer(() => server.close());
  return { counted, origin: `http://127.0.0.1:${server.address().port}` };
}

/** The large number, once there is one. */
const ratio = async (hero) => parseFloat(await hero.locator('#ratio').textContent());

const cases = [
  {
    name: 'the first screen of the browser says how many times the bytes, over bars of that ratio, on any width',
    async client(t) {
      const demo = await open(t);
      const hero = demo.page.getByRole('region', { name: 'What polling costs' });
      await t.eventually(async () => (await ratio(hero)) > 0, 'a ratio');
      for (const [width, height] of [[390, 844], [1280, 800]]) {
        await demo.page.setViewportSize({ width, height });
        const overflow = await demo.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        t.assert.ok(overflow <= 0, `${overflow} px too wide at ${width}`);
        for (const bar of ['#bar-polling', '#bar-websocket']) {
          const { y, height: tall } = await demo.page.locator(`${bar} svg`).boundingBox();
          t.assert.ok(y + tall < height, `${bar} ends at ${y + tall} of ${height}`);
        }
      }
      // The figures come from one tick, and so agree; a handshake counts while it is among the ten seconds.
      await t.eventually(async () => (await ratio(hero)) > 6, 'a ratio in which the handshake weighs little');
      const drawn = await hero.evaluate((section) => {
        const value = (word) => {
          const text = section.querySelector(`#bar-${word} .value`).textContent;
          return parseFloat(text) * (text.endsWith('kB') ? 1000 : 1);
        };
        const length = (word) => parseFloat(section.querySelector(`#bar-${word} .whole`).getAttribute('width'));
        const number = parseFloat(section.querySelector('#ratio').textContent);
        return { number, values: value('polling') / value('websocket'), lengths: length('polling') / length('websocket') };
      });
      t.assert.ok(Math.abs(drawn.lengths / drawn.number - 1) < 0.06, JSON.stringify(drawn));
      t.assert.ok(Math.abs(drawn.values / drawn.number - 1) < 0.1, JSON.stringify(drawn));
      await demo.press('Block WebSocket');
      await demo.until(WEBSOCKET, 'polling instead');
      await hero.getByText('Before the block.').waitFor({ timeout: 20_000 });
      t.assert.ok((await ratio(hero)) > 3);
    },
  },
  {
    name: 'what is said as one client of the browser is heard in the room, and others are heard too',
    async client(t) {
      const demo = await open(t);
      await demo.say(POLLING, 'said by polling');
      await demo.say(WEBSOCKET, 'said by WebSocket');
      const newcomer = await t.connect({ transports: ['polling'] });
      newcomer.emit('chat', 'from a <stock> client', 1);
      await demo.heard('from a <stock> client 1');
      await demo.reaches(POLLING, 'requests', 6);
      t.assert.equal(await demo.count(WEBSOCKET, 'requests'), 1);
    },
  },
  {
    name: 'bursts in the browser lose nothing, and what they take is what crossed the wire',
    async client(t) {
      const { counted, origin } = await counter(t);
      const demo = await open(t, { origin, search: '?burst=10x16@100&echo=off' });
      const state = async () => {
        await t.quiet(1200, "the last echo's poll is parked again, and both sides have counted it");
        const [polling, socket] = [await demo.count(POLLING, 'bytes'), await demo.count(WEBSOCKET, 'bytes')];
        return { polling, socket, counted: { ...counted } };
      };
      const before = await state();
      const said = await demo.burst();
      t.assert.deepEqual(said, [POLLING, WEBSOCKET].map((name) => `${name}: 10 of 10 came back, in order`));
      const after = await state();
      // Frames are counted to the byte, HTTP headers are estimated.
      t.assert.equal(after.socket - before.socket, after.counted.socket - before.counted.socket);
      const [told, real] = [after.polling - before.polling, after.counted.requests - before.counted.requests];
      t.assert.ok(Math.abs(told / real - 1) < ESTIMATE, `the page says ${told} bytes, and ${real} crossed`);
      t.assert.deepEqual(await demo.tally(), { lost: 0, sent: 20 });
    },
  },
  {
    name: 'a large burst in the browser comes back in order',
    async client(t) {
      const demo = await open(t, { search: '?burst=1000x256@0' });
      const large = await demo.burst();
      t.assert.deepEqual(large, [POLLING, WEBSOCKET].map((name) => `${name}: 1000 of 1000 came back, in order`));
    },
  },
  {
    name: 'the other clients of the browser, three at most, get every echo, and their exchanges have headers',
    async client(t) {
      const demo = await open(t);
      // The shipped file allows both.
      for (const name of ['Drain', 'Kill a node']) await demo.page.getByRole('button', { name, exact: true }).waitFor();
      for (const [chip, name, state] of [
        [/^Old client/, 'Client C', 'polling'],
        [/^SockJS/, 'Client D', 'streaming'],
        [/^Longpoll/, 'Client E', 'EventSource'],
      ]) {
        await demo.toggle(chip);
        await demo.until(name, state);
        await demo.pane(name).getByText(/"time"/).first().waitFor();
        t.assert.equal(await demo.page.locator('.exchanges').count(), 3);
      }
      await demo.press('Pause');
      await demo.pane(POLLING).locator('.exchange button', { hasText: 'POST' }).last().click();
      await demo.pane(POLLING).locator('pre', { hasText: 'User-Agent' }).waitFor();
      t.assert.equal((await demo.tally()).lost, 0);
    },
  },
  {
    name: 'where WebSocket is blocked, the browser falls back to polling without a loss, and comes back',
    async client(t) {
      const demo = await open(t);
      await demo.press('Block WebSocket');
      await demo.until(WEBSOCKET, 'polling instead');
      await demo.say(WEBSOCKET, 'still here');
      await demo.reaches(WEBSOCKET, 'requests', 2);
      await demo.press('Unblock WebSocket');
      await demo.until(WEBSOCKET, 'WebSocket');
      await demo.say(WEBSOCKET, 'back again');
      await demo.say(POLLING, 'heard it');
      const notes = await demo.chat.locator('.note:not([data-client=A])').allTextContents();
      // With several nodes, it also says where a session is.
      const log = notes.map((note) => note.replace(/, at node \w+/, ''));
      t.log('page', 'log', ...log);
      t.assert.deepEqual(log, [
        'Client B joined by WebSocket.',
        'WebSocket is blocked.',
        'Client B: the session ended.',
        'Client B: WebSocket was refused, it falls back to polling.',
        'Client B joined by polling.',
        'Client B: an upgrade to WebSocket was refused.',
        'WebSocket is allowed again.',
        'Client B joined by WebSocket.',
      ]);
      t.assert.equal((await demo.tally()).lost, 0);
    },
  },
  {
    name: 'on a line that is 300 ms slower, round trips in the browser take that much longer',
    async client(t) {
      const demo = await open(t);
      const slowest = async (name) => {
        const row = demo.page.locator('#chart-trips tr', { hasText: name });
        const text = await row.locator('td').first().textContent();
        return parseFloat(text) * (text.endsWith(' s') ? 1000 : 1);
      };
      await demo.press('Slow the line');
      for (const name of [POLLING, WEBSOCKET]) {
        await t.eventually(async () => (await slowest(name)) >= 300, `a round trip of ${name} over the slow line`);
      }
      await demo.press('Restore the line');
      for (const name of [POLLING, WEBSOCKET]) {
        await t.eventually(async () => (await slowest(name)) < 300, `a fast round trip of ${name}`);
      }
      t.assert.equal((await demo.tally()).lost, 0);
    },
  },
  {
    name: 'a backend that restarts ends the sessions of the browser, which come back, and no echo is lost',
    // What an ended session of longpoll answers to the last acknowledgement.
    expected: /410 \(Gone\)/,
    async client(t) {
      const demo = await open(t);
      await demo.toggle(/^Longpoll/);
      await demo.until('Client E', 'EventSource');
      await demo.press('Restart backend');
      for (const [name, state] of [[POLLING, 'polling'], [WEBSOCKET, 'WebSocket'], ['Client E', 'EventSource']]) {
        await demo.chat.getByText(`${name}: the session ended.`).waitFor();
        await t.eventually(async () => (await demo.chat.getByText(new RegExp(`${name} joined by ${state}[.,]`)).count()) === 2, `${name} is back`);
      }
      const { sent } = await demo.tally();
      await t.eventually(async () => (await demo.tally()).sent > sent + 3, 'more echoes');
      t.assert.equal((await demo.tally()).lost, 0);
    },
  },
  {
    name: 'cursors of all clients of the browser move together',
    async client(t) {
      const demo = await open(t);
      await demo.page.getByRole('region', { name: 'Cursor' }).scrollIntoViewIfNeeded();
      const { x, y, width } = await demo.page.locator('#board').boundingBox();
      await demo.page.mouse.move(x + 20, y + 40);
      await demo.page.mouse.move(x + width / 2, y + 70, { steps: 30 });
      await t.eventually(async () => {
        const at = (letter) => demo.page.locator(`[data-cursor=${letter}]`).getAttribute('transform');
        const [one, other] = [await at('A'), await at('B')];
        const [left, top] = (one?.match(/[\d.]+/g) ?? []).map(Number);
        return one === other && Math.abs(left - width / 2) < 40 && Math.abs(top - 70) < 8;
      }, 'both cursors where the pointer is');
    },
  },
  {
    name: 'on a phone the browser shows one wire, which a chip for each client chooses, and nothing is wider than the screen',
    async client(t) {
      const demo = await open(t);
      await demo.toggle(/^Old client/);
      await demo.until('Client C', 'polling');
      await demo.press('Block WebSocket');
      await demo.until(WEBSOCKET, 'polling instead');
      await demo.page.setViewportSize({ width: 390, height: 844 });
      const chip = (name) => demo.page.getByRole('group', { name: 'Whose wire' }).getByRole('button', { name });
      const shown = () => demo.page.locator('.exchanges:visible h3').allTextContents();
      for (const name of [WEBSOCKET, 'Client C', POLLING]) {
        await chip(name).click();
        t.assert.deepEqual(await shown(), [name]);
        // The focus goes with the chip to the head of another wire.
        await demo.page.locator(':focus', { hasText: name.at(-1) }).waitFor();
        t.assert.equal(await chip(name).getAttribute('aria-pressed'), 'true');
        const { width, height } = await chip(name).boundingBox();
        t.assert.ok(width >= 38 && height >= 40, `${width} by ${height}`);
        await demo.pane(name).locator('.exchange:not([hidden]) .text').first().waitFor();
        await demo.press('Pause');
        const said = await demo.pane(name).locator('.exchange:not([hidden]) .text').first().boundingBox();
        t.assert.ok(said.width > 120, `${said.width} px for what was said`);
        await demo.pane(name).locator('.exchange button').last().click();
        await demo.pane(name).locator('pre').waitFor();
        const overflow = await demo.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        t.assert.ok(overflow <= 0, `${overflow} px too wide`);
        await demo.press('Go on');
      }
      // One that is turned off leaves its place to another.
      await demo.toggle(/^Polling/);
      await t.eventually(async () => (await shown()).join() === WEBSOCKET, 'another wire');
    },
  },
  {
    name: 'axe finds nothing wrong with the page in the browser, in either light, blocked, with open headers and a dialog, on any width',
    async client(t) {
      const demo = await open(t);
      await demo.toggle(/^Old client/);
      await demo.press('Block WebSocket');
      await demo.until(WEBSOCKET, 'polling instead');
      await demo.press('Pause');
      await demo.pane(POLLING).locator('.exchange button').last().click();
      await isAccessible(t, demo.page, 'blocked');
      await demo.press('Join from a phone');
      await isAccessible(t, demo.page, 'the dialog');
      await demo.press('Close');
      await demo.page.setViewportSize({ width: 390, height: 844 });
      await isAccessible(t, demo.page, 'on a phone');
    },
  },
  {
    name: 'the result is copied from the browser, and its address is drawn as a code',
    async client(t) {
      const demo = await open(t);
      await demo.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await t.eventually(async () => (await ratio(demo.page)) > 0, 'a ratio');
      await demo.press('Copy result');
      await demo.page.getByRole('button', { name: 'Copied' }).waitFor();
      const [sentence, polling, socket, lost, origin] = (await demo.page.evaluate(() => navigator.clipboard.readText())).split('\n');
      t.assert.match(sentence, /^To say the same thing, polling sends [\d.]+× the bytes of a WebSocket\.$/);
      t.assert.match(polling, /^Polling \(polling\): [\d.]+ k?B a message, round trip [\d.]+ m?s$/);
      t.assert.match(socket, /^WebSocket \(WebSocket\): /);
      t.assert.match(lost, /^0 lost of \d+$/);
      t.assert.equal(origin, t.url);
      await demo.press('Join from a phone');
      await demo.page.locator('#code path[d^=M]').waitFor();
      const drawn = await demo.page.evaluate(async () => {
        const { encode } = await import('/polliwog-demo/qr.js');
        const bits = encode('http://192.168.1.20:8080/').flat().map(Number).join('');
        return { code: BigInt(`0b${bits}`).toString(16), tooLong: encode('x'.repeat(107)), longest: encode('x'.repeat(106)).length };
      });
      t.assert.deepEqual(drawn, { code: CODE, tooLong: undefined, longest: 37 });
    },
  },
];

export default {
  name: 'demo',
  ways: ['proxy'],
  backend: 'none',
  cases: cases.map(({ client, expected, ...test }) => ({
    transports: ['none'],
    quick: ['none'],
    timeout: 60_000,
    proxiedOnly: true,
    config: { shipped: true },
    async client(t) {
      await client(t);
      t.log('page', 'done');
      const errors = t.transcript.of('console', 'error').filter((error) => !expected?.test(error));
      t.assert.deepEqual(errors, []);
    },
    ...test,
  })),
};
