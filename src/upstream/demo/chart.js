// A minute of one number as a small chart: bars of two parts, or a mark for each value.

/** How many slots a chart shows. */
export const SLOTS = 120;
const HEIGHT = 40;

/** Bars of [lower, upper] parts, the newest at the right. */
export function drawBars(figure, slots, max) {
  const [lower, upper] = figure.querySelectorAll('path');
  const parts = ['', ''];
  slots.forEach(([first, second], index) => {
    const x = SLOTS - slots.length + index;
    const middle = at(first, max);
    if (first > 0) parts[0] += bar(x, HEIGHT, middle);
    if (second > 0) parts[1] += bar(x, middle, at(first + second, max));
  });
  lower.setAttribute('d', parts[0]);
  upper?.setAttribute('d', parts[1]);
}

/** A mark for each slot that has a value. */
export function drawMarks(figure, slots, max) {
  const mark = (value, index) =>
    value === undefined ? '' : `M${SLOTS - slots.length + index} ${at(value, max).toFixed(2)}h0.9`;
  figure.querySelector('path').setAttribute('d', slots.map(mark).join(''));
}

/** The smallest of 1, 2, 5, 10, 20 ... that is no less than `value`: charts of one kind share it, and can be compared. */
export function niceMax(value, least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, least)));
  return [1, 2, 5, 10].map((step) => step * power).find((bound) => bound >= Math.max(value, least));
}

const at = (value, max) => HEIGHT * (1 - Math.min(value / max, 1));

/** At least half a unit high, so that little is not taken for nothing. */
function bar(x, from, to) {
  const top = Math.min(to, from - 0.5);
  return `M${x} ${from.toFixed(2)}V${top.toFixed(2)}H${x + 0.8}V${from.toFixed(2)}Z`;
}
