// What the doctor is to find: the troubles by their check, and nothing else.

const url = (port) => `http://127.0.0.1:${port}`;
const alone = (site) => site.isLeftAlone();

/** What nginx needs for WebSocket. */
const UPGRADE = `proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgrade;`;

export const CASES = {
  'Socket.IO 4': {
    url: async (site) => url(await site.socketIo()),
    says: { versions: /^Engine.IO 4, not 3; heartbeat 3s \+ 20s, 1MB$/, 'idle-poll': /^a poll may wait 3/ },
    after: alone,
  },

  'Socket.IO 4 for clients of 2 as well': {
    url: async (site) => url(await site.socketIo({ allowEIO3: true, cors: { origin: true, credentials: true } })),
    says: { versions: /^Engine.IO 4 and 3;/ },
    after: alone,
  },

  'Socket.IO 2': {
    url: async (site) => url(await site.socketIo2()),
    says: { versions: /^Engine.IO 3 only;/, 'idle-websocket': /^a WebSocket may be silent for 3/ },
    after: alone,
  },

  'Engine.IO alone': { url: async (site) => url(await site.engineIo()), after: alone },

  'Polliwog': {
    url: async (site) => url(await site.polliwog()),
    says: { versions: /^Engine.IO 4 and 3;/ },
  },

  'nginx with all that is needed': {
    url: async (site) => url(await site.nginx([await site.socketIo()], UPGRADE)),
    after: alone,
  },

  'a server without WebSocket': {
    url: async (site) => url(await site.socketIo({ transports: ['polling'] })),
    says: { websocket: /^the server speaks no WebSocket$/ },
    after: alone,
  },

  'nginx with a timeout below the heartbeat': {
    url: async (site) => {
      const server = await site.socketIo({ pingInterval: 25_000 });
      return url(await site.nginx([server], `${UPGRADE}\nproxy_read_timeout 5s;`));
    },
    args: ['--duration', '12s'],
    troubles: { 'idle-poll': 'poll-timeout', 'idle-websocket': 'websocket-timeout' },
    says: { 'idle-poll': /^a waiting poll is cut after [5-7]\.\d s; the heartbeat comes after 25s$/ },
  },

  'nginx that does not pass upgrades': {
    url: async (site) => url(await site.nginx([await site.socketIo()], '')),
    troubles: { websocket: 'upgrade-blocked' },
  },

  'two servers in turn': {
    url: async (site) => url(await site.nginx([await site.socketIo(), await site.socketIo()], UPGRADE)),
    troubles: { sessions: 'stickiness' },
  },

  'two Polliwogs in turn': {
    url: async (site) => url(await site.nginx([await site.polliwog(), await site.polliwog()], UPGRADE)),
    troubles: { sessions: 'stickiness' },
  },

  'two servers by the address of the client': {
    url: async (site) => {
      const servers = [await site.socketIo(), await site.socketIo()];
      return url(await site.nginx(servers, UPGRADE, 'hash $remote_addr consistent;'));
    },
    after: alone,
  },

  'a proxy that takes the key away': {
    url: async (site) => {
      const lines = `${UPGRADE}\nproxy_set_header Sec-WebSocket-Key "";`;
      return url(await site.nginx([await site.socketIo()], lines));
    },
    troubles: { websocket: 'upgrade-stripped' },
  },

  'a proxy that takes the version away from Polliwog': {
    url: async (site) => {
      const lines = `${UPGRADE}\nproxy_set_header Sec-WebSocket-Version "";`;
      return url(await site.nginx([await site.polliwog()], lines));
    },
    troubles: { websocket: 'upgrade-stripped' },
  },

  'a proxy that takes the accept away': {
    url: async (site) => {
      const without = (bytes, client) => client.write(bytes.toString('latin1').replace(/sec-websocket-accept:[^\n]*\n/i, ''), 'latin1');
      return url(await site.middlebox(await site.socketIo(), without));
    },
    troubles: { websocket: 'upgrade-stripped' },
  },

  'a firewall that swallows frames': {
    url: async (site) => {
      const swallow = (bytes, client) => {
        const text = bytes.toString('latin1');
        if (client.isSwitched) return;
        client.isSwitched = text.startsWith('HTTP/1.1 101');
        client.write(client.isSwitched ? text.slice(0, text.indexOf('\r\n\r\n') + 4) : text, 'latin1');
      };
      return url(await site.middlebox(await site.socketIo(), swallow));
    },
    timeout: '3s',
    troubles: { websocket: 'frames' },
  },

  'nobody': { url: async () => url(1), code: 2 },

  'another path': {
    url: async (site) => `${url(await site.socketIo())}/elsewhere/`,
    timeout: '3s',
    troubles: { versions: 'handshake' },
  },
};
