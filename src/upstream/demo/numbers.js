// Figures as the page writes them, rounded in one place.

export const whole = new Intl.NumberFormat('en');

/** Bytes in the unit that suits them. */
export function size(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  return bytes < 999_500 ? `${figures(bytes / 1e3)} kB` : `${figures(bytes / 1e6)} MB`;
}

/** Milliseconds with three figures at most. */
export function milliseconds(took) {
  if (took >= 999.5) return `${(took / 1000).toFixed(1)} s`;
  return `${took < 99.95 ? took.toFixed(1) : whole.format(Math.round(took))} ms`;
}

const figures = (value) => (value < 99.95 ? value.toFixed(1) : whole.format(Math.round(value)));

/** Sets an element's text where it differs, which spares the browser the work. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
