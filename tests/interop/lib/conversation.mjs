// What the cases say to a client that does as it is told (peer.mjs), and what they wait for.

const LEFT = {
  'socket.io': ['transport close', 'client namespace disconnect'],
  asgi: ['transport close', 'client disconnect'],
};

/** A client that leaves says so twice, of its namespaces and its connection, maybe in one breath. */
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
      why: 'told both at once a server names either: chance decides in what pieces they come, proxy or not',
    })),
);

export function connecting(t, { namespaces = ['/'], auth = null, query = {}, ...how } = {}) {
  const client = t.peer();
  // Some find the path by themselves only where the URL has none.
  const url = `${t.url}/?${new URLSearchParams({ id: t.id, ...query })}`;
  client.tell({ do: 'connect', url, transports: t.transports, namespaces, auth, query, ...how });
  return client;
}

/** A client that has been let in to every one of `namespaces`, and has moved to its last transport. */
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

/** What two processes tell of one event comes in any order. */
export const bothSaw = (t, count, namespace = '/') =>
  Promise.all(['client', 'server'].map((side) => t.until(`${side} ${namespace}`, 'event', count)));
