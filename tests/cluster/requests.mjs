// Single requests of a polling client, and how long they take.

import assert from 'node:assert/strict';

const target = (url, sid) => `${url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;

/** Begins a session, and returns its id. */
export async function handshake(url) {
  const body = await (await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).text();
  return JSON.parse(body.slice(1)).sid;
}

export const poll = (url, sid, status) => ask(target(url, sid), {}, status);

export const post = (url, sid, status, body = '3') => ask(target(url, sid), { method: 'POST', body }, status);

/** Returns the status of a response, which must be this one if one is given. */
async function ask(url, options, expected) {
  const answer = await fetch(url, options);
  const body = await answer.text();
  if (expected) assert.equal(answer.status, expected, body);
  return answer.status;
}

/** How long something takes, in milliseconds. */
export async function patience(act) {
  const since = performance.now();
  await act();
  return Math.round(performance.now() - since);
}
