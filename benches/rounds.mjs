// Clients of Engine.IO that do a known number of rounds: a POST whose message comes back by a GET. For what is counted and not timed.

import http from 'node:http';

// A browser's.
const HEADERS = {
  'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  Accept: '*/*',
  'Accept-Language': 'en-US,en;q=0.5',
  'Accept-Encoding': 'gzip, deflate, br, zstd',
  Referer: 'http://127.0.0.1/',
  Origin: 'http://127.0.0.1',
};
const MESSAGE = `42["echo","${'x'.repeat(22)}"]`;

/** Opens sessions, and returns what does so many rounds with each of them. */
export async function open(port, sessions) {
  const clients = await Promise.all(Array.from({ length: sessions }, () => client(port)));
  return (rounds) => Promise.all(clients.map(({ push, poll }) => repeat(() => Promise.all([poll(MESSAGE), push(MESSAGE)]), rounds)));
}

async function repeat(round, rounds) {
  for (let done = 0; done < rounds; done += 1) await round();
}

/** A client that is connected to the root namespace: `push` posts packets, `poll` asks until a packet begins like the expected one. */
export async function client(port) {
  const [up, down] = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  let sid = '';
  const ask = (agent, method, body) =>
    new Promise((resolve, reject) => {
      const headers = body ? { ...HEADERS, 'Content-Type': 'text/plain;charset=UTF-8', 'Content-Length': body.length } : HEADERS;
      const target = `/socket.io/?EIO=4&transport=polling${sid}`;
      const request = http.request({ host: '127.0.0.1', port, agent, method, path: target, headers }, (response) => {
        let text = '';
        response.on('data', (piece) => (text += piece));
        response.on('end', () => (response.statusCode === 200 ? resolve(text) : reject(new Error(`${response.statusCode} ${text}`))));
      });
      request.on('error', reject);
      request.end(body);
    });
  const push = (packets) => ask(up, 'POST', packets);
  const poll = async (expected) => {
    for (;;) {
      const packets = (await ask(down, 'GET')).split('\x1e');
      if (packets.includes('2')) await push('3');
      if (packets.some((packet) => packet.startsWith(expected))) return;
    }
  };
  sid = `&sid=${JSON.parse((await ask(down, 'GET')).slice(1)).sid}`;
  await push('40');
  await poll('40');
  return { push, poll };
}
