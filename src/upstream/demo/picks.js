// Whose wire is shown where there is room for one only: a chip for each client, in the head of the wire that is shown.

/** `views` has the card of each pane's exchanges. */
export class Picks {
  #views;
  #picked;
  #group = document.createElement('div');

  constructor(views) {
    this.#views = views;
    this.#group.className = 'picks';
    this.#group.setAttribute('role', 'group');
    this.#group.setAttribute('aria-label', 'Whose wire');
  }

  /** Offers these panes. The one that was shown stays, if it is among them. */
  show(panes) {
    if (!panes.includes(this.#picked)) [this.#picked] = panes;
    this.#group.replaceChildren(...panes.map((pane) => this.#chip(pane)));
    this.paint();
  }

  /** Shows what was picked, and each client in the colour of the transport that it is on. */
  paint() {
    let index = 0;
    for (const [pane, { element }] of this.#sorted()) {
      const [chip, isPicked] = [this.#group.children[index], pane === this.#picked];
      index += 1;
      chip.dataset.hue = pane.hue;
      chip.setAttribute('aria-pressed', String(isPicked));
      element.classList.toggle('picked', isPicked);
      const header = element.querySelector('header');
      if (isPicked && this.#group.parentElement !== header) header.append(this.#group);
    }
  }

  /** The cards in the order in which their clients are offered. */
  #sorted() {
    const letter = ([{ row }]) => row.letter;
    return [...this.#views].sort((one, other) => (letter(one) < letter(other) ? -1 : 1));
  }

  #chip(pane) {
    const chip = document.createElement('button');
    chip.type = 'button';
    chip.className = 'pick';
    chip.textContent = pane.row.letter;
    chip.setAttribute('aria-label', pane.name);
    chip.addEventListener('click', () => {
      this.#picked = pane;
      this.paint();
      // Its group has moved, and the focus stays with it.
      chip.focus();
    });
    return chip;
  }
}
