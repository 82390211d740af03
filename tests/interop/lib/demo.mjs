// The page of the embedded backend, as a person uses it.

export const POLLING = 'Client A';
export const WEBSOCKET = 'Client B';

/** The clients of a page that is open, and what can be done with them. */
export function clients(t, page) {
  const pane = (name) => page.getByRole('region', { name: `The wire of ${name}` });
  const demo = {
    page,
    pane,
    chat: page.getByRole('region', { name: 'Chat' }),
    until: (name, state) => pane(name).locator('.state', { hasText: new RegExp(`^${state}$`) }).waitFor(),
    press: (name) => page.getByRole('button', { name, exact: true }).click(),
    /** Says something as a client, and waits until it is heard. */
    async say(name, text) {
      await demo.chat.getByLabel('As').selectOption(name.at(-1));
      const input = demo.chat.getByLabel('What to say');
      await input.fill(text);
      await input.press('Enter');
      await demo.heard(text);
    },
    heard: (text) => demo.chat.getByText(text).first().waitFor(),
    /** A count of a client since the page was opened: its bytes, or its requests. */
    count: async (name, of) => Number(await pane(name).getAttribute(`data-${of}`)),
    reaches: (name, of, least) => t.eventually(async () => (await demo.count(name, of)) >= least, `${of} of ${name}: at least ${least}`),
    /** Sends a burst. Returns what is said of each client's. */
    async burst() {
      const before = await demo.chat.getByText('came back').count();
      await demo.press('Send a burst');
      await t.eventually(async () => (await demo.chat.getByText('came back').count()) === before + 2, 'both bursts to end');
      const said = (await demo.chat.getByText('came back').allTextContents()).slice(-2);
      return said.map((text) => text.replace(/, in [\d.]+ m?s\.$/, ''));
    },
    /** What the counter says: how many were lost, and of how many. */
    async tally() {
      const [lost, sent] = await Promise.all(['#lost', '#sent'].map((id) => page.locator(id).textContent()));
      return { lost: parseInt(lost, 10), sent: Number(/[\d,]+/.exec(sent)[0].replaceAll(',', '')) };
    },
    /** Turns a client on or off, by its chip. */
    toggle: (chip) => page.getByRole('group', { name: 'Compare' }).getByRole('button', { name: chip }).click(),
    /** Waits until the two that are shown are connected, each by its own transport. */
    async connected() {
      await demo.until(POLLING, 'polling');
      await demo.until(WEBSOCKET, 'WebSocket');
    },
  };
  return demo;
}
