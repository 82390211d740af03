// What the command line asks for: which cases, by which way, in which browser.

import { parseArgs } from 'node:util';

export const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    through: { type: 'string', default: 'proxy' },
    browser: { type: 'string', default: 'chromium' },
    direct: { type: 'boolean', default: false },
    only: { type: 'string' },
    list: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

/** Whether everything is behind TLS: pages, what the cases talk to directly, and the proxy. */
export const isSecure = args.through === 'http2';

/** The scheme of every URL of the cases. */
export const SCHEME = isSecure ? 'https' : 'http';
