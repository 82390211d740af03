// What the clients say within a message: Socket.IO's packets, or JSON to the plain WebSocket server.

/** By name: `hello` opens the conversation; `isGreeted` is whether the server answers it. */
export const SPEECHES = {
  'socket.io': {
    isGreeted: true,
    hello: '0',
    event: (name, args) => `2${JSON.stringify([name, ...args])}`,
    ask: (id, name, args) => `2${id}${JSON.stringify([name, ...args])}`,
    read(text) {
      const [, type, id, json] = /^(\d)(\d*)(.*)$/s.exec(text) ?? [];
      if (type === '0') return { greeting: true };
      if (type === '2') return { event: JSON.parse(json) };
      if (type === '3') return { answer: Number(id), args: JSON.parse(json) };
      return { end: type === '1' || type === '4' };
    },
  },
  // It sends back what it gets; what begins with "chat:" goes to everybody.
  plain: {
    isGreeted: false,
    event: (name, args) => `${name}:${JSON.stringify(args)}`,
    ask: (id, name, args) => JSON.stringify([id, name, ...args]),
    read(text) {
      const [, name, json] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
      try {
        if (name) return { event: [name, ...[].concat(JSON.parse(json))] };
        const [answer, , ...args] = JSON.parse(text);
        return { answer, args };
      } catch {
        // Somebody's own words, by curl perhaps.
        return name ? { event: [name, json] } : {};
      }
    },
  },
};
// Socket.IO 2 needs no hello: who connects is greeted.
SPEECHES['socket.io 2'] = { ...SPEECHES['socket.io'], hello: undefined };
