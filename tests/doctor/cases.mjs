// What the doctor is to find: the troubles by their check, and nothing else.

const url = (port) => `http://127.0.0.1:${port}`;
const SOCKJS = ['--sockjs', '--duration', '3s'];
const LONGPOLL = ['--dialect', 'longpoll'];
const PLAIN = ['--dialect', 'websocket', '--duration', '2s'];
/** Writes without end, as fast as it is read. */
const pour = (socket, begin, more) => {
  socket.write(begin);
  const go = () => {
    while (!socket.destroyed && socket.write(more));
  };
  socket.on('drain', go);
  go();
};
const ORIGIN = 'https://app.example.org';
const COOKIE = 'balance roundrobin\n  cookie SERVERID insert indirect nocache';
const alone = (site) => site.isLeftAlone();

/** What nginx needs for WebSocket. */
const UPGRADE = `proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $upgrade;`;

export const CASES = {
  'Socket.IO 4': {
    url: async (site) => url(await site.socketIo()),
    says: { versions: /^Engine.IO 4, not 3; heartbeat 3s \+ 20s, 1MB$/, 'idle-poll': /^a poll may wait \d/ },
    after: alone,
  },

  'Socket.IO 4 for clients of 2 as well': {
    url: async (site) => url(await site.socketIo({ allowEIO3: true, cors: { origin: true, credentials: true } })),
    says: { versions: /^Engine.IO 4 and 3;/ },
    after: alone,
  },

  'Socket.IO 2': {
    url: async (site) => url(await site.socketIo2()),
    says: { versions: /^Engine.IO 3 only;/, 'idle-websocket': /^a WebSocket may be silent for \d/ },
    after: alone,
  },

  'Engine.IO alone': { url: async (site) => url(await site.engineIo()), after: alone },

  'Polliwog': {
    url: async (site) => url(await site.polliwog()),
    says: { versions: /^Engine.IO 4 and 3;/ },
    after: alone,
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

  'SockJS': {
    url: async (site) => url(await site.sockJs()),
    args: SOCKJS,
    says: { versions: /^SockJS, with WebSocket$/, streaming: /^responses that go on come as they are written$/ },
  },

  'SockJS of Polliwog': { url: async (site) => url(await site.polliwog()), args: SOCKJS },

  'SockJS behind nginx with all that is needed': {
    url: async (site) => url(await site.nginx([await site.sockJs()], `${UPGRADE}\nproxy_buffering off;`)),
    args: SOCKJS,
  },

  'nginx that buffers what goes on': {
    // To its servers it speaks HTTP/1.0 by default, so the response of a stream has no chunks that would be passed on.
    url: async (site) => url(await site.nginx([await site.sockJs()], 'proxy_buffering on;')),
    args: SOCKJS,
    timeout: '3s',
    troubles: { streaming: 'buffering', websocket: 'upgrade-blocked' },
    says: { streaming: /^a response that goes on is held back, with its headers$/ },
  },

  'the same nginx without buffers': {
    url: async (site) => url(await site.nginx([await site.sockJs()], 'proxy_buffering off;')),
    args: SOCKJS,
    troubles: { websocket: 'upgrade-blocked' },
  },

  'SockJS of two Polliwogs in turn': {
    url: async (site) => {
      const servers = [await site.polliwog(), await site.polliwog()];
      return url(await site.nginx(servers, `${UPGRADE}\nproxy_buffering off;`));
    },
    args: SOCKJS,
    troubles: { sessions: 'stickiness' },
  },

  'longpoll of Polliwog': {
    url: async (site) => url(await site.polliwog()),
    args: LONGPOLL,
    says: {
      versions: /^longpoll$/,
      push: /^a waiting poll is answered in /,
      streaming: /^responses that go on come as they are written$/,
      'idle-poll': /^a poll may wait [3-9]\.\d s$/,
    },
    after: alone,
  },

  'longpoll of two Polliwogs in turn': {
    url: async (site) => url(await site.nginx([await site.polliwog(), await site.polliwog()], UPGRADE)),
    args: LONGPOLL,
    troubles: { sessions: 'stickiness' },
  },

  'longpoll behind nginx with a timeout below its wait': {
    url: async (site) => url(await site.nginx([await site.polliwog()], `${UPGRADE}\nproxy_read_timeout 2s;`)),
    args: LONGPOLL,
    troubles: { 'idle-poll': 'poll-timeout', streaming: 'poll-timeout' },
    says: {
      'idle-poll': /^a waiting poll is cut after 2\.\d s; it asked to wait for 25s$/,
      streaming: /^a response that goes on is cut after 2\.\d s$/,
    },
  },

  'longpoll behind nginx that buffers what goes on': {
    // By HTTP/1.0, as above, and although Polliwog asks it not to.
    url: async (site) => {
      const lines = 'proxy_buffering on;\nproxy_ignore_headers X-Accel-Buffering;';
      return url(await site.nginx([await site.polliwog()], lines));
    },
    args: LONGPOLL,
    timeout: '3s',
    troubles: { streaming: 'buffering' },
    says: { streaming: /a response that goes on is held back/ },
  },

  'longpoll for pages of an origin that is not allowed': {
    url: async (site) => url(await site.polliwog()),
    args: [...LONGPOLL, '--origin', ORIGIN],
    troubles: { cors: 'cors' },
  },

  'longpoll where there is none': {
    url: async (site) => url(await site.socketIo()),
    args: LONGPOLL,
    timeout: '3s',
    troubles: { versions: 'handshake' },
  },

  'a plain WebSocket': {
    url: async (site) => url(await site.webSocket()),
    args: PLAIN,
    says: { websocket: /^opens, and brings the answer to a ping$/, 'idle-websocket': /^not cut in 2\.\d s;/ },
  },

  'a plain WebSocket of Polliwog': {
    url: async (site) => `${url(await site.polliwog())}/ws/`,
    args: PLAIN,
    says: { websocket: /^opens, and brings the answer to a ping$/ },
    after: alone,
  },

  'a plain WebSocket behind nginx that does not pass upgrades': {
    url: async (site) => url(await site.nginx([await site.webSocket()], '')),
    args: PLAIN,
    troubles: { websocket: 'upgrade-blocked' },
    says: { websocket: /^its request arrives without Upgrade$/ },
  },

  'a plain WebSocket behind nginx with a timeout below its silence': {
    url: async (site) => url(await site.nginx([await site.webSocket()], `${UPGRADE}\nproxy_read_timeout 2s;`)),
    args: ['--dialect', 'websocket', '--duration', '8s'],
    troubles: { 'idle-websocket': 'websocket-timeout' },
    says: { 'idle-websocket': /^a silent WebSocket is cut after (1\.9|2\.\d) s$/ },
  },

  'a WebSocket server that wants to hear something first': {
    // A client that logs in would have said so by then.
    url: async (site) => url(await site.webSocket((socket) => setTimeout(() => socket.close(4401), 500))),
    args: PLAIN,
    says: { 'idle-websocket': /^the server closes a silent WebSocket after .*, by a Close frame \(4401\)$/ },
  },

  'a WebSocket server that is never silent': {
    url: async (site) => url(await site.webSocket((socket) => setInterval(() => socket.send('tick'), 200).unref())),
    args: PLAIN,
    says: { 'idle-websocket': /^the server breaks a silence within / },
  },

  'a proxy that holds the response to a poll back': {
    url: async (site) => {
      // What a client is told comes at once, but for the end of a poll: that comes 4 s late.
      const hold = (bytes, client) => setTimeout(() => client.write(bytes), /\r\n\r\n6$/.test(bytes) ? 4000 : 0);
      return url(await site.middlebox(await site.socketIo(), hold));
    },
    troubles: { push: 'buffering' },
    says: { push: /^the response to a waiting poll comes 4/ },
  },

  'nginx that takes less than the server': {
    url: async (site) => url(await site.nginx([await site.socketIo()], `${UPGRADE}\nclient_max_body_size 100k;`)),
    troubles: { payload: 'payload-limit' },
    says: { payload: /^a POST of 1MB is answered 413, one of 62500B passes$/ },
    after: alone,
  },

  'nginx that lets responses be cached': {
    url: async (site) => {
      const lines = `${UPGRADE}\nproxy_hide_header Cache-Control;\nexpires 10m;`;
      return url(await site.nginx([await site.socketIo()], lines));
    },
    troubles: { caching: 'cached' },
    says: { caching: /^responses may be cached$/ },
    after: alone,
  },

  'nginx that caches': {
    url: async (site) => {
      const lines = `${UPGRADE}
      proxy_cache all;
      proxy_cache_key $uri$arg_EIO$arg_transport$arg_t$arg_sid;
      proxy_ignore_headers Cache-Control;
      proxy_cache_valid 200 1m;`;
      return url(await site.nginx([await site.socketIo()], lines, '', `proxy_cache_path ${site.folder}/cache keys_zone=all:1m;`));
    },
    troubles: { caching: 'cached' },
  },

  'nginx that compresses once': {
    url: async (site) => {
      const lines = `${UPGRADE}\ngzip on;\ngzip_types text/plain;\ngzip_min_length 20;`;
      return url(await site.nginx([await site.socketIo()], lines));
    },
    says: { compression: /^\d+ responses are compressed, as they say$/ },
    after: alone,
  },

  'nginx that says gzip once more': {
    url: async (site) => {
      const lines = `${UPGRADE}\nadd_header Content-Encoding gzip always;`;
      return url(await site.nginx([await site.socketIo()], lines));
    },
    troubles: { compression: 'compression' },
  },

  'a server whose clock jumps': {
    url: async (site) => {
      let number = 0;
      const jump = (bytes, client) => {
        const date = new Date(Date.now() + (number++ % 2) * 90_000).toUTCString();
        client.write(bytes.toString('latin1').replace(/^Date: .*$/m, `Date: ${date}`), 'latin1');
      };
      return url(await site.middlebox(await site.socketIo(), jump));
    },
    troubles: { clock: 'clock' },
    after: alone,
  },

  'HAProxy with a cookie': {
    url: async (site) => url(await site.haproxy([await site.socketIo(), await site.socketIo()], COOKIE)),
    says: { sessions: /^found again by a cookie/, cookies: /^browsers send them back$/ },
    after: alone,
  },

  'the same cookie for pages of another site': {
    url: async (site) => {
      const cors = { origin: ORIGIN, credentials: true };
      return url(await site.haproxy([await site.socketIo({ cors }), await site.socketIo({ cors })], COOKIE));
    },
    args: ['--origin', ORIGIN],
    troubles: { cookies: 'cookie' },
    says: { cookies: /pages of another site need SameSite=None/, cors: /may connect, with credentials$/ },
    after: alone,
  },

  'a server that allows an origin': {
    url: async (site) => url(await site.socketIo({ cors: { origin: ORIGIN } })),
    args: ['--origin', ORIGIN],
    says: { cors: /^pages of https:\/\/app.example.org may connect$/ },
    after: alone,
  },

  'a server that allows no origin': {
    url: async (site) => url(await site.socketIo()),
    args: ['--origin', ORIGIN],
    troubles: { cors: 'cors' },
    after: alone,
  },

  'nginx that allows the origin once more': {
    url: async (site) => {
      const lines = `${UPGRADE}\nadd_header Access-Control-Allow-Origin ${ORIGIN} always;`;
      return url(await site.nginx([await site.socketIo({ cors: { origin: ORIGIN } })], lines));
    },
    args: ['--origin', ORIGIN],
    troubles: { cors: 'cors-twice' },
  },

  'Polliwog over HTTP/2': {
    url: (site) => site.secure(),
    args: (site) => ['--ca', site.certificate().certificate],
    says: { http2: /^spoken, with WebSocket over it/ },
  },

  'a plain WebSocket of Polliwog over HTTP/2': {
    url: async (site) => `${await site.secure()}/ws/`,
    args: (site) => [...PLAIN, '--ca', site.certificate().certificate],
    says: { http2: /^spoken, with WebSocket over it/ },
  },

  'a certificate that nobody trusts': {
    url: (site) => site.secure(),
    code: 2,
    errors: /its certificate was not issued by a trusted authority.*--insecure examines the rest$/m,
  },

  'a certificate that nobody trusts, passed over': {
    url: (site) => site.secure(),
    args: ['--insecure'],
    says: {
      certificate: /^its certificate was not issued by a trusted authority; passed over, as --insecure says$/,
      http2: /^spoken, with WebSocket over it/,
    },
  },

  'a certificate that is trusted, and would be passed over': {
    url: async (site) => `${await site.secure()}/ws/`,
    args: (site) => [...PLAIN, '--insecure', '--ca', site.certificate().certificate],
    says: { certificate: /^trusted/ },
  },

  'a server that announces WebSocket over HTTP/2 and has none': {
    url: async (site) => `https://127.0.0.1:${await site.announcing()}`,
    args: (site) => ['--ca', site.certificate().certificate],
    timeout: '3s',
    troubles: { http2: 'http2' },
  },

  'a server that sends garbage': {
    url: async (site) => url(await site.hostile((socket) => socket.end('\x16\x03\x01 SSH-2.0\r\n\r\n'))),
    troubles: { versions: 'handshake' },
  },

  'a server whose headers never end': {
    url: async (site) => url(await site.hostile((socket) => pour(socket, 'HTTP/1.1 200 OK\r\n', `X-A: ${'a'.repeat(4000)}\r\n`))),
    troubles: { versions: 'handshake' },
  },

  'a server whose response never ends': {
    url: async (site) => url(await site.hostile((socket) => pour(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'a'.repeat(4000)))),
    troubles: { versions: 'handshake' },
  },

  'a server that says nothing': {
    url: async (site) => url(await site.hostile(() => {})),
    timeout: '1s',
    troubles: { versions: 'handshake' },
  },

  'a server that talks all the time': {
    url: async (site) => url((site.seen = await site.talkative()).port),
    says: { 'idle-poll': /^not seen: the server is never silent$/ },
    after: (site) => {
      if (site.seen.requests > 100) throw new Error(`${site.seen.requests} requests`);
    },
  },

  'nobody': { url: async () => url(1), code: 2 },

  'another path': {
    url: async (site) => `${url(await site.socketIo())}/elsewhere/`,
    timeout: '3s',
    troubles: { versions: 'handshake' },
  },
};
