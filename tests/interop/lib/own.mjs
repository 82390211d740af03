// For cases that start proxies of their own, with the demo of the shipped configuration.

import path from 'node:path';
import { Proxy } from './proxy.mjs';
import { certificate } from './secure.mjs';

/** The shipped configuration, except for these variables. */
export async function started(t, variables) {
  return ended(t, await Proxy.shipped(path.resolve(process.env.POLLIWOG_BIN), variables));
}

/** The shipped configuration with TLS. */
export async function secured(t) {
  const { key, certificate: file } = await certificate();
  return started(t, { POLLIWOG_SERVER__TLS__CERTIFICATE: file, POLLIWOG_SERVER__TLS__KEY: key });
}

/** Another configuration. */
export async function configured(t, config) {
  return ended(t, await Proxy.start(path.resolve(process.env.POLLIWOG_BIN), config));
}

function ended(t, proxy) {
  t.defer(async () => t.assert.equal(await proxy.stop(), 0));
  return proxy;
}

/** The suite of such cases. */
export const suite = (name, cases, more) => ({
  name,
  ways: ['http2'],
  backend: 'none',
  cases: cases.map(({ client, ...test }) => ({
    transports: ['none'],
    quick: ['none'],
    timeout: 120_000,
    proxiedOnly: true,
    config: { shipped: true },
    async client(t) {
      await client(t);
      t.log('client', 'done');
    },
    ...more,
    ...test,
  })),
});
