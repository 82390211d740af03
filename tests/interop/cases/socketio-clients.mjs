// Socket.IO once more, with another client or parser: the cases of socketio*.mjs. Those that write packets by hand, or
// need what came after 3.1, name `only` the clients that can; those that measure time show nothing new the second time.

import socketio from './socketio.mjs';
import content from './socketio-content.mjs';
import ends from './socketio-ends.mjs';
import refusals from './socketio-refusals.mjs';

const others = (client) => (suite) => ({
  ...suite,
  name: `${suite.name}, client ${client}`,
  client,
  cases: suite.cases
    .filter(({ only, alone }) => !alone && (!only || only.includes(client)))
    .map((test) => ({ ...test, quick: test.quick?.slice(0, 1) })),
});

export default ['3.1', 'msgpack'].flatMap((client) => [socketio, content, ends, refusals].map(others(client)));
