// HTTP/2 by a browser, which has one connection for all of its tabs.

import { launchBrowser } from '../lib/browser.mjs';
import { clients, POLLING, WEBSOCKET } from '../lib/demo.mjs';
import { configured, secured, suite } from '../lib/own.mjs';
import { certificate } from '../lib/secure.mjs';

/** Tabs of one browser, of the kind that the suite runs with. */
async function tabs(t, count) {
  const browser = await launchBrowser();
  t.defer(() => browser.close());
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  return Promise.all(Array.from({ length: count }, () => context.newPage()));
}

/** Runs in a page: what it and all that it loaded came by. */
function protocols() {
  const entries = ['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind));
  return [...new Set(entries.map(({ nextHopProtocol }) => nextHopProtocol))];
}

/** Runs in a page: begins a session of longpoll's, in whose poll nothing comes. */
async function wait() {
  const { url } = await (await fetch('/feed/', { method: 'POST' })).json();
  fetch(`${url}?after=0`).catch(() => {});
}

/** Runs in a page: has one number after the other echoed by a session of SockJS', until it is enough. */
async function count() {
  const session = `/sockjs/000/${crypto.randomUUID()}`;
  const ask = async (what, body) => (await fetch(`${session}/${what}`, { method: 'POST', body })).text();
  await ask('xhr');
  for (globalThis.counted = 0; !globalThis.isEnough; globalThis.counted++) {
    await ask('xhr_send', `["${globalThis.counted}"]`);
    const heard = await ask('xhr');
    if (heard !== `a["${globalThis.counted}"]\n`) return `${heard} in place of ${globalThis.counted}`;
  }
  return 'all came back';
}

/** Runs in a page: has a word echoed by a session of SockJS'. */
async function speak(word) {
  const session = `/sockjs/000/${crypto.randomUUID()}`;
  const ask = async (what, body) => (await fetch(`${session}/${what}`, { method: 'POST', body })).text();
  await ask('xhr');
  await ask('xhr_send', JSON.stringify([word]));
  return ask('xhr');
}

/** Runs in a page: sends so many messages at once by a WebSocket, and says what came of them. */
function burst(count) {
  const socket = new WebSocket(`wss://${location.host}/socket.io/?EIO=4&transport=websocket`);
  let come = 0;
  return new Promise((resolve) => {
    socket.onopen = () => socket.send('40');
    socket.onclose = ({ code }) => resolve(`closed with ${code} after ${come}`);
    socket.onmessage = ({ data }) => {
      if (data === '2') socket.send('3');
      if (data.startsWith('40')) for (let id = 0; id < count; id++) socket.send(`42${id}["echo",${id}]`);
      if (data === `43${come}[${come}]` && ++come === count) resolve(`${come} came back`);
    };
  });
}

const cases = [
  {
    name: 'a browser has polls and a WebSocket on one connection',
    async client(t) {
      const proxy = await secured(t);
      const [page] = await tabs(t, 1);
      await page.goto(`https://localhost:${proxy.port}/`);
      const demo = clients(t, page);
      await demo.connected();
      for (const name of [POLLING, WEBSOCKET]) await demo.say(name, `said by ${name}`);
      t.assert.deepEqual([await proxy.connections(), await proxy.spoken('http/1.1')], [1, 0]);
    },
  },
  {
    // HTTP/1.1 has six connections for all tabs of a browser: the seventh request waits until one of the others ends.
    name: 'eight tabs of a browser wait for messages, and each is answered what else it asks',
    async client(t) {
      const proxy = await secured(t);
      const pages = await tabs(t, 8);
      for (const page of pages) {
        await page.goto(`https://localhost:${proxy.port}/hello`);
        await page.evaluate(wait);
      }
      await t.eventually(async () => (await proxy.parked()) === pages.length, 'a parked poll of each tab');
      for (const page of pages) t.assert.equal(await page.evaluate(speak, 'hello'), 'a["hello"]\n');
      t.assert.equal(await proxy.parked(), pages.length);
      t.assert.deepEqual(await pages[0].evaluate(protocols), ['h2']);
      t.assert.deepEqual([await proxy.connections(), await proxy.spoken('http/1.1')], [1, 0]);
    },
  },
  {
    name: 'a tab of a browser that is closed ends its own session, and the others go on',
    async client(t) {
      const proxy = await secured(t);
      const pages = await tabs(t, 3);
      for (const page of pages) {
        await page.goto(`https://localhost:${proxy.port}/hello`);
        t.assert.equal(await page.evaluate(burst, 10), '10 came back');
      }
      const are = (count) => async () => (await proxy.sum('polliwog_sessions')) === count;
      await t.eventually(are(pages.length), 'a session of each');
      await pages[0].close();
      await t.eventually(are(pages.length - 1), 'one less');
      for (const page of pages.slice(1)) t.assert.equal(await page.evaluate(burst, 10), '10 came back');
      t.assert.deepEqual([await proxy.connections(), await proxy.spoken('http/1.1')], [1, 0]);
    },
  },
  {
    name: 'a browser that is told to open another connection does so, and its session goes on',
    async client(t) {
      const tls = await certificate();
      const config = (http2) => (port) => `
        server = { listen = ["127.0.0.1:${port}"], http2 = ${http2}, tls = { certificate = "${tls.certificate}", key = "${tls.key}" } }
        admin = { listen = "127.0.0.1:0" }
        routes = [{ path = "/sockjs/", dialect = "sockjs", upstream = "demo" }]
        upstreams = { demo = { kind = "demo", protocol = "websocket" } }`;
      const proxy = await configured(t, config(true));
      const [page] = await tabs(t, 1);
      await page.goto(`https://localhost:${proxy.port}/hello`);
      const counting = page.evaluate(count).catch(String);
      const reaches = (least) => t.eventually(() => page.evaluate((least) => globalThis.counted >= least, least), `${least} echoes`);
      await reaches(10);
      t.assert.equal(await proxy.spoken('http/1.1'), 0);
      await proxy.reload(config(false));
      await t.eventually(async () => (await proxy.spoken('http/1.1')) > 0, 'another connection');
      await reaches((await page.evaluate(() => globalThis.counted)) + 10);
      await page.evaluate(() => (globalThis.isEnough = true));
      t.assert.equal(await counting, 'all came back');
    },
  },
  {
    name: 'a browser sends a burst of messages, and each comes back',
    async client(t) {
      const proxy = await secured(t);
      const [page] = await tabs(t, 1);
      await page.goto(`https://localhost:${proxy.port}/hello`);
      t.assert.equal(await page.evaluate(burst, 5000), '5000 came back');
      t.assert.deepEqual([await proxy.connections(), await proxy.spoken('http/1.1')], [1, 0]);
    },
  },
];

export default suite('http2', cases);
