// A request on a connection of HTTP/2 that carries others, too.

/** Asks for `path`, with these headers beside it; resolves to the body of the response. */
export function ask(connection, method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const stream = connection.request({ ':method': method, ':path': path, ...headers }, { endStream: !body });
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', (piece) => (text += piece));
    stream.on('end', () => resolve(text));
    stream.on('error', reject);
    if (body) stream.end(body);
  });
}
