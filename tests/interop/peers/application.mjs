// What a server does in the cases with peers of other languages; server.py is the same in Python.

export function application(io, t) {
  io.of('/private').use((socket, next) => {
    if (socket.handshake.auth.token === 'good') return next();
    next(Object.assign(new Error('not authorized'), { data: { code: 7 } }));
  });
  for (const name of ['/', '/room', '/private']) {
    io.of(name).on('connection', (socket) => {
      const log = (...event) => t.log(`server ${name}`, ...event);
      log('connection', socket.handshake.auth);
      socket.on('disconnect', (reason) => log('disconnect', reason));
      socket.onAny((...event) => answer(socket, log, ...event));
      // Not logged, for behind the proxy it is another one.
      socket.onAny(() => (t.transportSeen = socket.conn.transport.name));
    });
  }
}

async function answer(socket, log, name, ...args) {
  switch (name) {
    case 'ask':
      return args.pop()(...args);
    case 'question me':
      for (let i = 0; i < args[0]; i++)
        log('answer', await socket.timeout(5000).emitWithAck('question', i, Buffer.from([i])));
      return socket.emit('asked');
    case 'many':
      for (let i = 0; i < args[0]; i++) socket.emit('one of many', i);
      return;
    case 'leave':
      return socket.disconnect(args[0] === 'whole');
    default:
      log('event', name, ...args);
      socket.emit(name, ...args);
  }
}
