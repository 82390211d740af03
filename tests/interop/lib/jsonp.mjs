// As much of a browser's document as the clients of Engine.IO 3 need for JSONP: a script that comes into it is fetched
// and run, a form is posted, and the frame that takes the answer says when it has come.

import { request } from './raw.mjs';

class Element {
  children = [];
  style = {};

  constructor(tag) {
    // Clients first pass a whole element, which only very old browsers accept.
    if (tag.includes('<')) throw new Error(`no name: ${tag}`);
    this.tag = tag;
  }

  appendChild(child) {
    child.parentNode = this;
    this.children.push(child);
    if (child.tag === 'script') run(child);
  }

  removeChild(child) {
    this.children = this.children.filter((other) => other !== child);
  }

  setAttribute() {}

  /** Posts the form's only field, with the line ends that browsers give it. */
  submit() {
    const [{ name, value }] = this.children;
    const body = new URLSearchParams({ [name]: value.replace(/\r\n|\r|\n/g, '\r\n') }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const loaded = () => this.children.find(({ tag }) => tag === 'iframe')?.onload?.();
    request({ ...place(this.action), method: 'POST', headers, body }).then(loaded, loaded);
  }
}

async function run(script) {
  try {
    const { status, body } = await request(place(script.src));
    if (status !== 200) throw new Error(`status ${status}`);
    // In the global scope, as a browser does.
    (0, eval)(body);
  } catch (error) {
    script.onerror(error);
  }
}

function place(url) {
  const { port, pathname, search } = new URL(url);
  return { port, path: pathname + search };
}

globalThis.document = {
  // SockJS' clients use no XMLHttpRequest in a document that has none.
  domain: '127.0.0.1',
  head: new Element('head'),
  body: new Element('body'),
  createElement: (tag) => new Element(tag),
  getElementsByTagName: () => [],
};
