// The page of the shipped configuration in a real browser: two clients show what each transport costs, and the cases check it.

import net from 'node:net';

const POLLING = 'Polling';
const WEBSOCKET = 'WebSocket';
/** How far the estimate of header bytes may be off. */
const ESTIMATE = 0.1;

/** The page, once both of its clients are connected. */
async function open(t, origin = t.url) {
  const { page } = await t.page(origin);
  const pane = (name) => page.getByRole('region', { name: `The ${name} client` });
  const demo = {
    page,
    pane,
    until: (name, state) => pane(name).locator('.state', { hasText: new RegExp(`^${state}$`) }).waitFor(),
    /** Types into a pane, and waits until both show it. */
    async say(name, text) {
      const input = pane(name).getByLabel(`A message from the ${name} client`);
      await input.fill(text);
      await input.press('Enter');
      await demo.heard(text);
    },
    async heard(text) {
      for (const name of [POLLING, WEBSOCKET]) await pane(name).getByRole('log').getByText(text).waitFor();
    },
    /** A number below a pane, in bytes where it has a unit. */
    async figure(name, figure) {
      const text = await pane(name).locator(`[data-figure="${figure}"]`).textContent();
      const [, digits, unit] = /^(?:≈ )?([\d,.]+) ?(\w*)/.exec(text);
      return Number(digits.replaceAll(',', '')) * ({ kB: 1e3, MB: 1e6 }[unit] ?? 1);
    },
    /** Waits until a number below a pane, which moves twice a second, is at least `least`. */
    reaches: (name, figure, least) =>
      t.eventually(async () => (await demo.figure(name, figure)) >= least, `${figure} of ${name}: at least ${least}`),
    /** Sends a burst. Returns what each pane reports of it. */
    async burst(count, size, pace) {
      await page.getByLabel('Burst of').selectOption(count);
      await page.getByLabel('messages of').selectOption(size);
      await page.getByLabel('sent').selectOption(pace);
      await page.getByRole('button', { name: 'Send burst' }).click();
      const outcomes = [POLLING, WEBSOCKET].map(async (name) => {
        const outcome = pane(name).locator('.outcome', { hasText: 'came back' });
        await outcome.waitFor();
        const [said] = /^\d+ of \d+ echoes came back, [a-z0-9 ]+/.exec(await outcome.textContent());
        t.log('page', 'burst', name, said);
        return said;
      });
      return Promise.all(outcomes);
    },
  };
  await demo.until(POLLING, 'polling');
  await demo.until(WEBSOCKET, 'WebSocket');
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
      for (const [width, height] of [[1280, 800], [390, 844]]) {
        await demo.page.setViewportSize({ width, height });
        const overflow = await demo.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        t.assert.ok(overflow <= 0, `${overflow} px too wide at ${width}`);
        for (const bar of ['#bar-polling', '#bar-websocket']) {
          const { y, height: tall } = await demo.page.locator(`${bar} svg`).boundingBox();
          t.assert.ok(y + tall < height, `${bar} ends at ${y + tall} of ${height}`);
        }
      }
      // The figures come from one tick, and so agree; a handshake counts while it is among the ten seconds.
      await t.eventually(async () => (await ratio(hero)) > 3, 'a plausible ratio');
      const drawn = await hero.evaluate((section) => {
        const value = (word) => parseFloat(section.querySelector(`#bar-${word} .value`).textContent.replace(',', ''));
        const length = (word) => parseFloat(section.querySelector(`#bar-${word} .whole`).getAttribute('width'));
        const number = parseFloat(section.querySelector('#ratio').textContent);
        return { number, values: value('polling') / value('websocket'), lengths: length('polling') / length('websocket') };
      });
      t.assert.ok(Math.abs(drawn.lengths / drawn.number - 1) < 0.06, JSON.stringify(drawn));
      t.assert.ok(Math.abs(drawn.values / drawn.number - 1) < 0.1, JSON.stringify(drawn));
      await demo.page.getByRole('button', { name: 'Block WebSocket' }).click();
      await demo.until(WEBSOCKET, 'polling instead');
      await hero.getByText('Before the block.').waitFor({ timeout: 20_000 });
      t.assert.ok((await ratio(hero)) > 3);
    },
  },
  {
    name: 'a message that is typed in one pane of the browser appears in both, and others are heard too',
    async client(t) {
      const demo = await open(t);
      const before = await demo.figure(POLLING, 'messages');
      await demo.say(POLLING, 'said by polling');
      await demo.say(WEBSOCKET, 'said by WebSocket');
      const newcomer = await t.connect({ transports: ['polling'] });
      newcomer.emit('chat', 'from a <stock> client', 1);
      await demo.heard('from a <stock> client 1');
      await demo.reaches(POLLING, 'messages', before + 4);
      await demo.reaches(POLLING, 'requests', 6);
      t.assert.equal(await demo.figure(WEBSOCKET, 'requests'), 1);
      for (const name of [POLLING, WEBSOCKET]) t.assert.ok((await demo.figure(name, 'chat')) > 0);
    },
  },
  {
    name: 'bursts in the browser lose nothing, and what they take is what crossed the wire',
    async client(t) {
      const { counted, origin } = await counter(t);
      const demo = await open(t, origin);
      await demo.page.getByLabel('Echo every second').uncheck();
      const state = async () => {
        await t.quiet(1200, "the last echo's poll is parked again, and both sides have counted it");
        const [polling, socket] = [await demo.figure(POLLING, 'bytes'), await demo.figure(WEBSOCKET, 'bytes')];
        return { polling, socket, counted: { ...counted } };
      };
      const before = await state();
      const said = await demo.burst('10', '16', '100');
      t.assert.deepEqual(said, Array(2).fill('10 of 10 echoes came back, in order'));
      const after = await state();
      // Frames are counted to the byte, HTTP headers are estimated.
      t.assert.equal(after.socket - before.socket, after.counted.socket - before.counted.socket);
      const [told, real] = [after.polling - before.polling, after.counted.requests - before.counted.requests];
      t.assert.ok(Math.abs(told / real - 1) < ESTIMATE, `the page says ${told} bytes, and ${real} crossed`);
      const large = await demo.burst('1000', '256', '0');
      t.assert.deepEqual(large, Array(2).fill('1000 of 1000 echoes came back, in order'));
    },
  },
  {
    name: 'where WebSocket is blocked, the browser falls back to polling, and comes back',
    async client(t) {
      const demo = await open(t);
      await demo.page.getByRole('button', { name: 'Block WebSocket' }).click();
      await demo.until(WEBSOCKET, 'polling instead');
      await demo.say(WEBSOCKET, 'still here');
      await demo.reaches(WEBSOCKET, 'requests', 2);
      await demo.page.getByRole('button', { name: 'Unblock WebSocket' }).click();
      await demo.until(WEBSOCKET, 'WebSocket');
      await demo.say(WEBSOCKET, 'back again');
      await demo.say(POLLING, 'heard it');
      const log = await demo.pane(WEBSOCKET).getByRole('log').locator('.note').allTextContents();
      t.log('page', 'log', ...log);
      t.assert.deepEqual(log, [
        'Connected by WebSocket.',
'WebSocket is blocked.',
'The session ended.',
        'WebSocket was refused; polling instead.',
        'Connected by polling.',
        'An upgrade to WebSocket was refused.',
'WebSocket is allowed again.',
        'Connected by WebSocket.',
      ]);
    },
  },
];

export default {
  name: 'demo',
  ways: ['proxy'],
  backend: 'none',
  cases: cases.map(({ client, ...test }) => ({
    transports: ['none'],
    quick: ['none'],
    timeout: 60_000,
    proxiedOnly: true,
    config: { shipped: true },
    async client(t) {
      await client(t);
      t.log('page', 'done');
      t.assert.deepEqual(t.transcript.of('console', 'error'), []);
    },
    ...test,
  })),
};
