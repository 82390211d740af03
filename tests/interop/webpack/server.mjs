// webpack-dev-server with a page whose client is sockjs-client. Arguments: the port, what the server itself speaks ("ws" or
// "sockjs"), and the folder of the sources. Says "ready" when it listens.

import webpack from 'webpack';
import WebpackDevServer from 'webpack-dev-server';

const [port, speaks, folder] = process.argv.slice(2);
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
    host: '127.0.0.1',
    port: Number(port),
    webSocketServer: speaks,
    // The page asks where it came from, which is the proxy, and not the server's own address.
    client: { webSocketTransport: 'sockjs', webSocketURL: 'auto://0.0.0.0:0/ws', logging: 'info' },
    static: { directory: `${folder}/public` },
  },
  compiler,
);
await server.start();
console.log('ready');
