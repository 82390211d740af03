// What a server does in the cases with peers of other languages; server.py is the same in Python.

export function application(io, t) {
  for (const [name, data] of [['/private', { code: 7 }], ['/locked']]) {
    io.of(name).use((socket, next) => {
      if (said(socket).token === 'good') return next();
      next(Object.assign(new Error('not authorized'), { data }));
    });
  }
  for (const name of ['/', '/room', '/private', '/locked']) {
    io.of(name).on('connection', (socket) => {
      const log = (...event) => t.log(`server ${name}`, ...event);
      log('connection', said(socket));
      socket.on('disconnect', (reason) => log('disconnect', reason));
      socket.use((event, next) => {
        answer(socket, log, ...event);
        // Not logged, since it differs behind the proxy.
        t.transportSeen = socket.conn.transport.name;
        next();
      });
    });
  }
}

/** A client's own data: in its CONNECT, or from Socket.IO 2, in the query. */
const said = ({ handshake: { auth, query } }) =>
  Object.keys(auth ?? {}).length > 0 || query.token === undefined ? (auth ?? {}) : { token: query.token };

async function answer(socket, log, name, ...args) {
  switch (name) {
    case 'ask':
      return args.pop()(...args);
    case 'question me':
      for (let i = 0; i < args[0]; i++)
        log('answer', await new Promise((resolve) => socket.emit('question', i, Buffer.from([i]), resolve)));
      return socket.emit('asked');
    case 'many':
      for (let i = 0; i < args[0]; i++) socket.emit('one of many', i);
      return;
    case 'my id':
      return log('id', args[0] === socket.id);
    case 'leave':
      return socket.disconnect(args[0] === 'whole');
    default:
      log('event', name, ...args);
      socket.emit(name, ...args);
  }
}
