/** Ends the process with an exit code, once everything that it printed is taken: `process.exit()` alone drops what a full pipe leaves. */
export const leave = (code) => new Promise(() => process.stdout.write('', () => process.exit(code)));
