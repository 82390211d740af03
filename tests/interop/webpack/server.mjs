// webpack-dev-server with a page whose client is sockjs-client, as docs/sockjs.md has it. Arguments: the port, what the server itself
// speaks ("ws" or "sockjs"), and the folder of the sources. Says "ready" when it listens.

import { readFileSync } from 'node:fs';
import webpack from 'webpack';
import WebpackDevServer from 'webpack-dev-server';

const [port, speaks, folder] = process.argv.slice(2);
const [, block] = /```js\n([^]*?)```/.exec(readFileSync(new URL('../../../docs/sockjs.md', import.meta.url), 'utf8'));
const { devServer } = new Function(`return {${block}}`)();
const compiler = webpack({
  mode: 'development',
  devtool: false,
  context: folder,
  entry: './index.js',
  infrastructureLogging: { level: 'none' },
  stats: 'none',
});
const server = new WebpackDevServer(
  {
    ...devServer,
    host: '127.0.0.1',
    port: Number(port),
    webSocketServer: speaks,
    client: { ...devServer.client, logging: 'info' },
    static: { directory: `${folder}/public` },
  },
  compiler,
);
await server.start();
console.log('ready');
