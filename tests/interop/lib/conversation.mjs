// Commands of the cases to a client in another process (peer.mjs), and what they wait for.

const LEFT = {
  'socket.io': ['transport close', 'client namespace disconnect'],
  asgi: ['transport close', 'client disconnect'],
};

/** A client that leaves sends two goodbyes, for its namespaces and its connection, possibly in one packet. */
export const eitherReason = ['/', '/room'].flatMap((namespace) =>
  Object.values(LEFT)
    .flatMap(([one, other]) => [
      [one, other],
      [other, one],
    ])
    .map(([direct, proxied]) => ({
      track: `server ${namespace}`,
      label: 'disconnect',
      direct: [direct],
      proxied: [proxied],
      why: 'a server that reads both goodbyes at once reports either: how they are split is random, with or without a proxy',
    })),
);

export function connecting(t, { namespaces = ['/'], auth = null, query = {}, ...how } = {}) {
  const client = t.peer();
  // Some clients add the path only if the URL has none.
  const url = `${t.url}/?${new URLSearchParams({ id: t.id, ...query })}`;
  client.tell({ do: 'connect', url, transports: t.transports, namespaces, auth, query, ...how });
  return client;
}

/** A client that is connected to each of `namespaces`, and has moved to its last transport. */
export async function connected(t, how) {
  const client = connecting(t, how);
  const namespaces = how?.namespaces ?? ['/'];
  const done = namespaces.flatMap((namespace) => [
    t.until(`client ${namespace}`, 'connect'),
    t.until(`server ${namespace}`, 'connection'),
  ]);
  const tells = t.suite.peer !== 'rust_socketio';
  if (tells) done.push(t.until('client engine', 'transport'));
  await Promise.all(done);
  if (tells) t.assert.equal(t.transcript.of('client engine', 'transport').at(-1)[1], t.transports.at(-1));
  return client;
}

export const tell = (client, what, name, ...args) => client.tell({ do: what, namespace: '/', name, args });

/** Two processes report one event in either order. */
export const bothSaw = (t, count, namespace = '/') =>
  Promise.all(['client', 'server'].map((side) => t.until(`${side} ${namespace}`, 'event', count)));
