// What the page may do to the process behind it, where its configuration allows that: drain it, or kill it.

/** How long clients take to notice that a node is gone. */
const NOTICED_MS = 3000;
const SAID = {
  drain: ['Polliwog drains: it ends the sessions, and then itself.', 'A node drains: it ends its sessions, and then itself.'],
  kill: [
    'Polliwog is killed. Start it again, and the clients come back.',
    'A node is killed. Its sessions begin anew at another one, all others go on.',
  ],
};

/** Shows the buttons of what is allowed. */
export async function offer() {
  const answer = await fetch('polliwog-demo/controls').catch(() => undefined);
  const allowed = answer?.ok ? (await answer.text()).split(' ') : [];
  for (const name of allowed.filter((one) => SAID[one])) document.getElementById(name).hidden = false;
}

/** Does it, and says so by `say`. Which node it is done to, the balancer in front of them decides. */
export function command(name, panes, say) {
  const isCluster = panes.some(({ node }) => node);
  say(SAID[name][Number(isCluster)]);
  const began = performance.now();
  // A node that is killed answers nothing.
  fetch(`polliwog-demo/controls/${name}`, { method: 'POST' }).catch(() => {});
  if (name !== 'kill' || !isCluster) return;
  setTimeout(() => {
    if (panes.every(({ endedAt = 0 }) => endedAt < began)) say('None of these clients had its session there.');
  }, NOTICED_MS);
}
