// The balancers in front of the nodes: what starts each of them, and its configuration.

/** Three nodes in turn, as docs/cluster.md has it, without the lines that lead requests home. */
const IN_TURN = `
  balance roundrobin
  option redispatch 1
  retries 2
  retry-on conn-failure empty-response
  http-request disable-l7-retry if METH_POST
  option httpchk GET /readyz`;

const server = ({ name, host, port, admin }) =>
  `  server ${name} ${host}:${port} check inter 500ms fall 1 port ${admin}`;

export const BALANCERS = {
  roundrobin: (site) => haproxy(site.port, `  default_backend polliwog
backend polliwog${IN_TURN}
${site.nodes.map(server).join('\n')}`),

  /** The same, which soon notices a node that hangs, and ends its connections. */
  'roundrobin that ends what hangs': (site) => haproxy(site.port, `  default_backend polliwog
backend polliwog${IN_TURN}
  timeout check 800ms
${site.nodes.map((node) => `${server(node).replace('fall 1', 'fall 2')} on-marked-down shutdown-sessions`).join('\n')}`),

  /** HAProxy with what `check --cluster` prints for it. */
  'haproxy with hints': (site) => {
    const [, hints] = split(site.hints());
    const ids = [...hints.matchAll(/^backend (\S+) +# for (\S+)$/gm)];
    if (ids.length === 0) throw new Error(`no backend for SockJS: ${hints}`);
    const uses = ids.map(([, name, path]) => `  use_backend ${name} if { path_beg ${path} }`);
    return haproxy(site.port, `${uses.join('\n')}\n  default_backend polliwog\n${hints}`);
  },

  /** nginx with what `check --cluster` prints for it. */
  'nginx with hints': (site) => {
    const [hints] = split(site.hints());
    const locations = [...hints.matchAll(/location (\S+) \{ proxy_pass (\S+); \}/g)];
    if (locations.length !== 2) throw new Error(`not two locations: ${hints}`);
    const headers = `
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_buffering off;`;
    const served = locations.map(([, path, to]) => `    location ${path} {\n      proxy_pass ${to};${headers}\n    }`);
    const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
    const text = `daemon off;
master_process off;
pid ${site.folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 4000; }
http {
  access_log off;
${folders.map((folder) => `  ${folder}_temp_path ${site.folder}/${folder};`).join('\n')}
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
${hints}
  server {
    listen 127.0.0.1:${site.port};
${served.join('\n')}
  }
}
`;
    return { program: 'nginx', args: (file) => ['-p', site.folder, '-c', file, '-e', 'stderr'], text };
  },
};

/** What is printed for nginx, and what for HAProxy. */
function split(hints) {
  const [begin, end] = ['# nginx', '# HAProxy'].map((title) => hints.indexOf(title));
  if (begin < 0 || end < begin) throw new Error(`no hints: ${hints}`);
  return [hints.slice(begin, end), hints.slice(end)];
}

function haproxy(port, rest) {
  const text = `global
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout check 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
frontend all
  bind 127.0.0.1:${port}
${rest}
`;
  return { program: 'haproxy', args: (file) => ['-db', '-q', '-f', file], text };
}
