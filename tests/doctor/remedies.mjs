// Whether nginx, HAProxy and (where it is installed) Caddy take the lines that the doctor proposes.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const LABEL = /^(#.*|(--)?[a-z0-9.]+=\S+)$/;
const ANNOTATION = /^(#.*|nginx\.ingress\.kubernetes\.io\/[a-z-]+: \S+)$/;

/** Returns what is wrong with remedies, by their trouble. */
export function checkRemedies(remedies) {
  const folder = mkdtempSync(path.join(tmpdir(), 'polliwog-remedies-'));
  const faults = [];
  const hasCaddy = spawnSync('caddy', ['version']).status === 0;
  for (const [trouble, { nginx, haproxy, traefik, caddy, ingress_nginx }] of remedies) {
    const take = (name, text, program, args) => {
      const file = path.join(folder, name);
      writeFileSync(file, text);
      const { status, stderr } = spawnSync(program, args(file), { encoding: 'utf8' });
      if (status !== 0) faults.push([trouble, `${program}: ${stderr}`]);
    };
    take('nginx.conf', inNginx(nginx, folder), 'nginx', (file) => ['-t', '-q', '-p', folder, '-c', file, '-e', 'stderr']);
    take('haproxy.cfg', inHaproxy(haproxy), 'haproxy', (file) => ['-c', '-q', '-f', file]);
    if (hasCaddy) take('Caddyfile', inCaddy(caddy), 'caddy', (file) => ['validate', '--adapter', 'caddyfile', '--config', file]);
    for (const [lines, form] of [[traefik, LABEL], [ingress_nginx, ANNOTATION]]) {
      const odd = lines.split('\n').find((line) => !form.test(line));
      if (odd) faults.push([trouble, `is no label or annotation: ${odd}`]);
    }
  }
  rmSync(folder, { recursive: true, force: true });
  return faults;
}

/** A comment says where lines belong, if not in the place of the rest. */
const place = (lines, places, rest) => places.find((place) => lines.startsWith(`# in the ${place}`) || lines.startsWith(`# in ${place}`)) ?? rest;

function inNginx(lines, folder) {
  const at = lines.startsWith('location') ? 'server' : place(lines, ['upstream'], 'location');
  const here = (name) => (at === name ? lines : '');
  return `pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  upstream chat { ${here('upstream')}
    server 127.0.0.1:3000; }
  server {
    listen 127.0.0.1:1;
    ${here('server')}
    location / {
      proxy_pass http://chat;
      ${here('location')}
    }
  }
}
`;
}

function inHaproxy(lines) {
  const at = place(lines, ['frontend', 'global'], 'backend');
  const here = (name) => (at === name ? lines.replaceAll('\n', '\n  ') : '');
  return `global
  maxconn 10
  ${here('global')}
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend all
  bind 127.0.0.1:1
  default_backend chat
  ${here('frontend')}
backend chat
  ${here('backend')}
  server s 127.0.0.1:3000 cookie s
`;
}

const inCaddy = (lines) => `http://127.0.0.1:1 {
  reverse_proxy 127.0.0.1:3000 {
    ${lines}
  }
}
`;
