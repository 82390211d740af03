// The demo's page behind the balancer, in a browser: nodes are killed from it, and nothing that its clients say is lost.

import assert from 'node:assert/strict';
import { launchBrowser } from '../interop/lib/browser.mjs';
import { clients, POLLING, WEBSOCKET } from '../interop/lib/demo.mjs';
import { until } from '../mux/lib/until.mjs';

/** Below the 45 s of a heartbeat, by which a client would notice in the end that nothing comes. */
const WITHIN_MS = 10_000;
const WAYS = { [POLLING]: 'polling', [WEBSOCKET]: 'WebSocket', 'Client E': 'EventSource' };
const COUNT = 150;

const eventually = (isSo, what) => until(isSo, () => what, { within: WITHIN_MS });

/** Kills all nodes but one by the page's button, each in the middle of a burst. */
export async function killFromPage(site) {
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(`${site.url}/?burst=${COUNT}x16@10`);
    const demo = clients({ eventually }, page);
    await demo.connected();
    await demo.toggle(/^Longpoll/);
    await connected(demo);
    const told = [await killOne(site, demo), await killOne(site, demo)];
    const [{ name: last }] = site.nodes.filter(lives);
    assert.deepEqual(await homes(demo), Object.keys(WAYS).map((name) => [name, last]), 'all live at the node that is left');
    return told.join('; ');
  } finally {
    await browser.close();
  }
}

const lives = ({ child }) => child.exitCode === null && child.signalCode === null;

async function killOne(site, demo) {
  const before = await homes(demo);
  const ended = (name) => demo.chat.getByText(`${name}: the session ended.`).count();
  const ends = new Map(await Promise.all(before.map(async ([name]) => [name, await ended(name)])));
  const bursts = await demo.chat.getByText('came back').count();
  await demo.press('Send a burst');
  await demo.page.locator('#burst', { hasText: new RegExp(`^[1-9]\\d+ of ${COUNT}$`) }).waitFor();
  const [began, living] = [Date.now(), site.nodes.filter(lives)];
  await demo.press('Kill a node');
  await eventually(() => !living.every(lives), 'a node to end');
  const [{ name: killed, child }] = living.filter((node) => !lives(node));
  assert.equal(child.signalCode, 'SIGKILL');
  await demo.chat.getByText('A node is killed.').first().waitFor();
  await connected(demo);
  const took = Date.now() - began;
  const after = new Map(await homes(demo));
  const own = before.filter(([, node]) => node === killed).map(([name]) => name);
  for (const name of own) {
    assert.notEqual(after.get(name), killed, `${name} is elsewhere`);
    assert.ok((await ended(name)) > ends.get(name), `${name} was told of its session's end`);
  }
  await eventually(async () => (await demo.chat.getByText('came back').count()) === bursts + before.length, 'all of the bursts to come back');
  const said = (await demo.chat.getByText('came back').allTextContents()).slice(-before.length);
  for (const [name] of before) {
    assert.ok(said.some((text) => text.startsWith(`${name}: ${COUNT} of ${COUNT} came back, in order`)), said.join(' '));
  }
  const { lost } = await demo.tally();
  assert.equal(lost, 0);
  if (own.length === 0) await demo.chat.getByText('None of these clients had its session there.').last().waitFor();
  return `${killed} had ${own.join(' and ') || 'no client'}, all were connected after ${took} ms`;
}

/** Each client with the node that has its session. */
const homes = (demo) => Promise.all(Object.keys(WAYS).map(async (name) => [name, await demo.pane(name).getAttribute('data-node')]));

async function connected(demo) {
  await eventually(async () => {
    const states = await Promise.all(Object.entries(WAYS).map(async ([name, way]) => [way, await demo.pane(name).locator('.state').textContent()]));
    return states.every(([way, state]) => way === state) && (await homes(demo)).every(([, node]) => node);
  }, 'all clients to be connected, each by its own transport');
}
