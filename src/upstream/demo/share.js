// What a visitor takes along: the result as text, and the page's address as a code for a phone.

import { sentence } from './hero.js';
import { milliseconds, size, whole, write } from './numbers.js';
import { encode } from './qr.js';

const $ = (id) => document.getElementById(id);
const COPIED_MS = 2000;
/** Light modules around a code, without which it is not found. */
const QUIET = 4;

/** The result in a few lines of plain text. */
export function result(panes, { lost, sent }) {
  const one = ({ row, recent, trips, state }) => {
    const { average } = recent;
    const trip = trips.median === undefined ? '' : `, round trip ${milliseconds(trips.median)}`;
    return `${row.chip} (${state}): ${average ? `${size(average.bytes)} a message` : 'no messages yet'}${trip}`;
  };
  return [sentence(), ...panes.map(one), `${whole.format(lost)} lost of ${whole.format(sent)}`, location.origin].join('\n');
}

/** Has the buttons do it; `told()` is the result. */
export function share(told) {
  $('copy').addEventListener('click', async () => {
    const text = told();
    try {
      await navigator.clipboard.writeText(text);
      write($('copy').querySelector('span'), 'Copied');
    } catch {
      // Only safe places have a clipboard: others get the text to copy it by hand.
      write($('result'), text);
      $('result').hidden = false;
      getSelection().selectAllChildren($('result'));
    }
    setTimeout(() => write($('copy').querySelector('span'), 'Copy result'), COPIED_MS);
  });
  $('join').addEventListener('click', () => {
    $('address').value ||= location.origin;
    draw();
    $('phone').showModal();
  });
  $('address').addEventListener('input', draw);
  $('phone').querySelector('button').addEventListener('click', () => $('phone').close());
}

function draw() {
  const rows = encode($('address').value);
  const svg = $('code');
  svg.toggleAttribute('hidden', !rows);
  const isHere = /\/\/(localhost|127\.|\[::1\])/.test($('address').value);
  $('unreachable').hidden = !isHere;
  if (!rows) return;
  const size = rows.length + 2 * QUIET;
  svg.setAttribute('viewBox', `0 0 ${size} ${size}`);
  const modules = rows.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : '')));
  svg.querySelector('path').setAttribute('d', modules.join(''));
}
