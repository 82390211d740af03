// The files of Compose in deploy/, read as YAML: what their services say of each other, of files and of ports holds.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

// Of the packages of the stock clients.
const { parse } = createRequire(new URL('../interop/', import.meta.url))('yaml');

const DEPLOY = path.resolve(import.meta.dirname, '../../deploy');
const TOKEN = 'a-long-secret-of-all-nodes';
/** Compose puts variables in, and fails where one that is demanded is not set. */
const filled = (value) => `${value}`.replaceAll(/\$\{POLLIWOG_TOKEN(:\?[^}]*)?\}/g, TOKEN);

function read(file) {
  const whole = path.join(DEPLOY, file);
  return { folder: path.dirname(whole), services: parse(readFileSync(whole, 'utf8'), { merge: true }).services };
}

/** What each service needs is there: files, folders, services, and a way to stop in time. */
function assertSound({ folder, services }) {
  for (const [name, service] of Object.entries(services)) {
    const known = ['build', 'cap_drop', 'command', 'depends_on', 'environment', 'expose', 'healthcheck', 'image', 'ports'];
    known.push('read_only', 'restart', 'security_opt', 'stop_grace_period', 'ulimits', 'user', 'volumes');
    assert.deepEqual(Object.keys(service).filter((key) => !known.includes(key)), [], `keys of ${name}`);
    assert.ok(service.image || service.build, `${name} has an image`);
    if (service.build) {
      const { context, dockerfile = 'Dockerfile' } = service.build.context ? service.build : { context: service.build };
      assert.ok(existsSync(path.resolve(folder, context, dockerfile)), `the Dockerfile of ${name}`);
    }
    for (const volume of service.volumes ?? []) {
      const [host, , mode] = volume.split(':');
      assert.ok(statSync(path.resolve(folder, host)).isFile() && mode === 'ro', `${volume} of ${name}`);
    }
    const { depends_on: needs = {} } = service;
    for (const other of Array.isArray(needs) ? needs : Object.keys(needs)) {
      assert.ok(services[other], `${name} waits for ${other}`);
      if (needs[other]?.condition === 'service_healthy') assert.ok(services[other].healthcheck, `${other} tells its health`);
    }
  }
  const seconds = (text) => Number(/^(\d+)s$/.exec(text)[1]);
  for (const [name, service] of Object.entries(services).filter(([, { stop_grace_period: grace }]) => grace)) {
    assert.ok(seconds(service.stop_grace_period) >= 40, `${name} is given the drain's time`);
  }
}

/** The binary takes the configuration that is mounted, with the service's variables. */
function assertTaken(folder, service) {
  const [host] = service.volumes.find((volume) => volume.includes(':/config.toml')).split(':');
  const variables = Object.entries(service.environment ?? {}).map(([key, value]) => [key, filled(value)]);
  const args = ['check', '--config', path.resolve(folder, host)];
  const env = { ...process.env, ...Object.fromEntries(variables) };
  const { status, stdout, stderr } = spawnSync(process.env.POLLIWOG_BIN, args, { env, encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

/** What a line of a file says, such as the port in `listen = "0.0.0.0:9090"`. */
const found = (text, line) => line.exec(text)?.[1] ?? assert.fail(`no ${line}`);

const single = read('compose.yaml');
assertSound(single);
assertTaken(single.folder, single.services.polliwog);
assert.deepEqual(single.services.polliwog.ports, ['8080:8080']);

// What is added to it.
const added = read('compose.monitoring.yaml');
const polliwog = { ...single.services.polliwog, ...added.services.polliwog };
const monitored = { folder: single.folder, services: { ...single.services, ...added.services, polliwog } };
assertSound(monitored);
assertTaken(monitored.folder, polliwog);
const scraped = parse(readFileSync(path.join(DEPLOY, 'monitoring/prometheus.yml'), 'utf8')).scrape_configs[0];
assert.deepEqual(scraped.static_configs[0].targets, ['polliwog:9090']);
assert.ok(polliwog.environment.POLLIWOG_ADMIN__LISTEN.endsWith(':9090'));
const [source] = parse(readFileSync(path.join(DEPLOY, 'monitoring/grafana.yml'), 'utf8')).datasources;
assert.equal(source.url, 'http://prometheus:9090');

const cluster = read('cluster/compose.yaml');
assertSound(cluster);
const { haproxy, redis, backend, ...nodes } = cluster.services;
const text = (name) => readFileSync(path.join(cluster.folder, name), 'utf8');
const [config, balancer] = [text('config.toml'), text('haproxy.cfg')];
const ports = [/\[server\]\nlisten = .*:(\d+)"/, /\[cluster\]\nlisten = .*:(\d+)"/, /\[admin\]\nlisten = .*:(\d+)"/];
const [publicPort, peerPort, adminPort] = ports.map((line) => found(config, line));
assert.deepEqual(Object.keys(nodes), ['a', 'b', 'c']);
for (const [name, node] of Object.entries(nodes)) {
  assertTaken(cluster.folder, node);
  const { POLLIWOG_CLUSTER__ADVERTISE: advertised, POLLIWOG_CLUSTER__DIRECTORY: directory } = node.environment;
  assert.equal(advertised, `${name}:${peerPort}`, 'others reach a node by the name of its service');
  assert.deepEqual(node.expose, [publicPort, peerPort, adminPort]);
  assert.equal(node.ports, undefined, 'only the balancer can be reached');
  const { hostname, port, password } = new URL(filled(directory));
  assert.ok(cluster.services[hostname] === redis && redis.expose.includes(port), directory);
  assert.equal(password, filled(redis.command.at(redis.command.indexOf('--requirepass') + 1)));
  assert.equal(password, filled(redis.environment.REDISCLI_AUTH));
}
const behind = [...balancer.matchAll(/^ +server (\S+) (\S+) resolvers/gm)].map(([, name, at]) => `${name} ${at}`);
assert.deepEqual(behind, Object.keys(nodes).map((name) => `${name} ${name}:${publicPort}`));
assert.equal(found(balancer, /check inter 1s port (\d+)/), adminPort);
assert.deepEqual(haproxy.ports, [`8080:${found(balancer, /bind :(\d+)/)}`]);
assert.deepEqual(haproxy.depends_on, Object.keys(nodes));
// Where its official image looks for it.
assert.deepEqual(haproxy.volumes, ['./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro']);
const { hostname, port } = new URL(found(config, /url = "([^"]+)"/));
assert.ok(cluster.services[hostname] === backend && backend.expose.includes(port), `${hostname}:${port}`);
console.log('ok     what Compose is given fits together');
