// Every call of the npm package `openwhisk`, as it is published, against a node that has no action
// yet. Each answer must be what OpenWhisk promises its clients. Started by `tests/tests/npm.rs`,
// which passes the node's address and key as OpenWhisk passes them to actions (`__OW_API_HOST`,
// `__OW_API_KEY`), and the folder of sample actions.

'use strict';

const assert = require('node:assert/strict');
const http = require('node:http');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { test } = require('node:test');
const openwhisk = require('openwhisk');

const sample = (name) => readFileSync(join(process.env.ACTIONS, `${name}.elf`));
const whisk = openwhisk();
const ID = /^[0-9a-f]{32}$/;
const UNKNOWN_ID = '0'.repeat(32);

// What the package throws when the node refuses: both of OpenWhisk's fields, as strings.
async function refused(status, text, call) {
  await assert.rejects(call, (error) => {
    assert.equal(error.statusCode, status, error.message);
    assert.match(error.error.error, text);
    assert.equal(typeof error.error.code, 'string');
    return true;
  });
}

// The activation an invocation ended in, which is what the package throws for 502.
async function failed(call) {
  let activation;
  await assert.rejects(call, (error) => {
    assert.equal(error.statusCode, 502, error.message);
    // With a code it would look like an error of the node.
    assert.equal(error.error.code, undefined);
    activation = error.error;
    return true;
  });
  return activation;
}

async function ended(id) {
  for (;;) {
    const list = await whisk.activations.list({ limit: 200 });
    if (list.some((one) => one.activationId === id)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const annotation = (thing, key) => thing.annotations.find((one) => one.key === key)?.value;

test('namespaces.list', async () => {
  assert.deepEqual(await whisk.namespaces.list(), ['guest']);
});

test('namespaces.get, which asks four lists at once', async () => {
  const empty = { actions: [], packages: [], triggers: [], rules: [] };
  assert.deepEqual(await whisk.namespaces.get(), empty);
});

test('actions.create', async () => {
  const action = await whisk.actions.create({
    name: 'hello',
    action: sample('hello'),
    kind: 'native:1',
    annotations: { 'web-export': true, note: { any: 'JSON' } },
    limits: { timeout: 5000, memory: 16 },
    params: { name: 'bound' },
  });
  assert.ok(action.updated > 1.7e12, `${action.updated} is a time`);
  assert.equal(annotation(action, 'web-export'), true);
  assert.deepEqual(annotation(action, 'note'), { any: 'JSON' });
  assert.equal(annotation(action, 'exec'), 'native:1');
  const { updated, annotations, exec, ...rest } = action;
  assert.equal(exec.kind, 'native:1');
  assert.equal(exec.binary, true);
  assert.deepEqual(rest, {
    namespace: 'guest',
    name: 'hello',
    version: '0.0.1',
    publish: false,
    parameters: [{ key: 'name', value: 'bound' }],
    limits: { timeout: 5000, memory: 16, logs: 10, concurrency: 1 },
  });
});

test('actions.create of what exists, of what is no program, of limits out of range', async () => {
  const hello = sample('hello');
  const create = (options) => () => whisk.actions.create(options);
  await refused(409, /^resource already exists$/, create({ name: 'hello', action: hello }));
  await refused(400, /not/, create({ name: 'x', action: 'function main() {}' }));
  await refused(400, /equence/, create({ name: 'x', sequence: ['/_/hello', '/_/hello'] }));
  const limits = { timeout: 400000 };
  const text = /^timeout 400000 milliseconds exceeds allowed threshold of 300000 milliseconds$/;
  await refused(400, text, create({ name: 'x', action: hello, limits }));
  await refused(404, /./, () => whisk.actions.get('x'));
});

test('actions.create with the default kind, a version and a name with a space', async () => {
  const options = { name: 'by default', action: sample('echo'), version: '1.2.3' };
  const action = await whisk.actions.create(options);
  assert.deepEqual([action.name, action.version], ['by default', '1.2.3']);
  assert.equal(action.exec.kind, 'nodejs:default');
  assert.deepEqual((await whisk.actions.get('by default')).version, '1.2.3');
});

test('actions.update, with code and without', async () => {
  const whole = await whisk.actions.update({ name: 'faults', action: sample('faults') });
  assert.equal(whole.version, '0.0.1');
  const part = await whisk.actions.update({ name: 'hello', limits: { timeout: 3000 } });
  assert.equal(part.version, '0.0.2');
  assert.deepEqual(part.limits, { timeout: 3000, memory: 16, logs: 10, concurrency: 1 });
  assert.deepEqual(part.parameters, [{ key: 'name', value: 'bound' }]);
});

test('actions.list', async () => {
  const all = await whisk.actions.list();
  const names = all.map((action) => action.name).sort();
  assert.deepEqual(names, ['by default', 'faults', 'hello']);
  assert.ok(all.every((action) => action.exec?.code === undefined), 'a list has no code');
  const part = await whisk.actions.list({ limit: 1, skip: 1 });
  assert.deepEqual(part, [all[1]]);
  assert.deepEqual(await whisk.actions.list({ count: true }), { actions: 3 });
});

test('actions.get', async () => {
  const action = await whisk.actions.get('hello');
  assert.equal(action.exec.code, sample('hello').toString('base64'));
  const described = await whisk.actions.get({ name: '/guest/hello', code: false });
  assert.equal(described.exec.code, undefined);
  assert.equal(described.exec.binary, true);
  const several = await whisk.actions.get(['hello', 'faults']);
  assert.deepEqual(several.map((one) => one.name), ['hello', 'faults']);
  await refused(404, /^The requested resource does not exist\.$/, () => whisk.actions.get('x'));
});

test('actions.invoke without waiting', async () => {
  const answer = await whisk.actions.invoke('hello');
  assert.deepEqual(Object.keys(answer), ['activationId']);
  assert.match(answer.activationId, ID);
  await ended(answer.activationId);
  const { response } = await whisk.activations.get(answer.activationId);
  assert.deepEqual(response.result, { greeting: 'Hello, bound!' });
  await refused(404, /./, () => whisk.actions.invoke('x'));
});

test('actions.invoke, blocking', async () => {
  const params = { name: 'A' };
  const record = await whisk.actions.invoke({ name: 'hello', blocking: true, params });
  const { activationId, start, end, duration, annotations, ...rest } = record;
  assert.match(activationId, ID);
  assert.ok(start > 1.7e12 && end >= start && duration <= end - start + 1, JSON.stringify(record));
  assert.deepEqual(rest, {
    namespace: 'guest',
    name: 'hello',
    version: '0.0.2',
    subject: 'guest',
    publish: false,
    logs: [],
    response: {
      status: 'success', success: true, result: { greeting: 'Hello, A!' }, size: 24,
    },
  });
  assert.equal(annotation(record, 'path'), 'guest/hello');
  assert.equal(annotation(record, 'kind'), 'native:1');
  const { timeout, memory, logs } = annotation(record, 'limits');
  assert.deepEqual([timeout, memory, logs], [3000, 16, 10]);
  for (const key of ['waitTime', 'initTime']) {
    assert.equal(typeof annotation(record, key), 'number', key);
  }
});

test('actions.invoke for the result', async () => {
  const options = { name: 'hello', blocking: true, result: true };
  assert.deepEqual(await whisk.actions.invoke(options), { greeting: 'Hello, bound!' });
});

test('actions.invoke of what reports an error', async () => {
  const params = { name: 1 };
  const call = () => whisk.actions.invoke({ name: 'hello', blocking: true, params });
  const { response } = await failed(call);
  assert.deepEqual([response.status, response.success], ['application error', false]);
  assert.match(response.result.error, /invalid type/);
  // The package finds the text in the record.
  await assert.rejects(call, /Returned HTTP 502 \(Bad Gateway\) --> "invalid type/);
});

test('actions.invoke of what breaks a rule', async () => {
  const params = { kind: 'read-null' };
  const { response } = await failed(
    () => whisk.actions.invoke({ name: 'faults', blocking: true, params }));
  assert.deepEqual([response.status, response.success], ['action developer error', false]);
  assert.match(response.result.error, /^page fault reading 0x0/);
});

test('activations.list', async () => {
  const [hello] = await whisk.activations.list({ name: 'hello', limit: 1 });
  assert.deepEqual([hello.name, hello.version, hello.publish], ['hello', '0.0.2', false]);
  assert.match(hello.activationId, ID);
  // The last one of its name reported an error.
  assert.equal(hello.statusCode, 1);
  assert.equal(hello.response, undefined);
  const count = (options) => whisk.activations.list({ ...options, count: true });
  assert.deepEqual(await count({ name: 'hello' }), { activations: 5 });
  const all = await whisk.activations.list();
  assert.equal(all.length, 6);
  assert.deepEqual(await whisk.activations.list({ skip: 2, limit: 3 }), all.slice(2, 5));
  const starts = all.map((one) => one.start);
  assert.deepEqual(starts, [...starts].sort((one, other) => other - one), 'newest first');

  const docs = await whisk.activations.list({ docs: true, limit: 1 });
  assert.match(docs[0].response.result.error, /^page fault/);
  const newest = all[0].start;
  assert.deepEqual(await whisk.activations.list({ since: newest + 1 }), []);
  assert.deepEqual((await whisk.activations.list({ since: newest }))[0], all[0]);
  const upto = await whisk.activations.list({ upto: newest - 1 });
  assert.deepEqual(upto, all.filter((one) => one.start < newest));
  await refused(400, /./, () => whisk.activations.list({ limit: 201 }));
});

test('activations.get, .logs and .result', async () => {
  const [{ activationId }] = await whisk.activations.list({ name: 'faults', limit: 1 });
  const record = await whisk.activations.get(activationId);
  assert.deepEqual([record.name, record.activationId], ['faults', activationId]);
  const { logs } = await whisk.activations.logs({ activationId });
  assert.deepEqual(logs, record.logs);
  assert.deepEqual(await whisk.activations.result({ name: activationId }), record.response);
  for (const call of ['get', 'logs', 'result']) {
    await refused(404, /./, () => whisk.activations[call](UNKNOWN_ID));
    await refused(400, /activation id/, () => whisk.activations[call]('short'));
  }
});

for (const [collection, body] of [
  ['packages', { package: {} }],
  ['triggers', { trigger: {} }],
  ['rules', { action: 'hello', trigger: 't' }],
]) {
  const calls = whisk[collection];
  const none = new RegExp(`^${collection} are not supported by this host\\.$`);
  test(`${collection}.list, .get and .delete find nothing`, async () => {
    assert.deepEqual(await calls.list(), []);
    assert.deepEqual(await calls.list({ limit: 10, skip: 1 }), []);
    await refused(404, /./, () => calls.get('some'));
    await refused(404, /./, () => calls.delete('some'));
  });
  test(`${collection}.create and .update are not offered`, async () => {
    await refused(501, none, () => calls.create({ name: 'some', ...body }));
    await refused(501, none, () => calls.update({ name: 'some', ...body }));
  });
}

test('triggers.invoke, rules.enable and rules.disable are not offered', async () => {
  await refused(501, /^triggers are/, () => whisk.triggers.invoke({ name: 't', params: { a: 1 } }));
  await refused(501, /^rules are/, () => whisk.rules.enable({ name: 'r' }));
  await refused(501, /^rules are/, () => whisk.rules.disable({ name: 'r' }));
});

test('feeds are actions that do not exist', async () => {
  for (const call of ['create', 'get', 'update', 'delete']) {
    await refused(404, /./, () => whisk.feeds[call]({ feedName: 'feed', trigger: 't' }));
  }
});

test('routes find nothing', async () => {
  const route = { relpath: '/a', operation: 'GET', action: 'hello', basepath: '/' };
  for (const call of ['list', 'get', 'create', 'delete']) {
    await refused(404, /./, () => whisk.routes[call](route));
  }
});

test('a wrong key, a foreign namespace, and one\'s own by name', async () => {
  await refused(401, /authentication/, () => openwhisk({ api_key: 'a:b' }).actions.list());
  const foreign = openwhisk({ namespace: 'somebody' });
  await refused(403, /not authorized/, () => foreign.actions.list());
  assert.equal((await openwhisk({ namespace: 'guest' }).actions.list()).length, 3);
});

test('an agent that keeps its connections', async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const kept = openwhisk({ agent });
  const ports = new Set();
  agent.on('free', (socket) => ports.add(socket.localPort));
  for (let round = 0; round < 20; round += 1) {
    const options = { name: 'hello', blocking: true, result: true, params: { name: `${round}` } };
    assert.deepEqual(await kept.actions.invoke(options), { greeting: `Hello, ${round}!` });
  }
  agent.destroy();
  assert.equal(ports.size, 1, 'twenty calls, one connection');
});

test('the option retry', async () => {
  let tries = 0;
  const onRetry = () => { tries += 1; };
  const retrying = openwhisk({ retry: { retries: 2, minTimeout: 1, onRetry } });
  await refused(404, /./, () => retrying.actions.get('late'));
  assert.equal(tries, 2);
  // What is refused at first and deployed in between.
  const deploy = () => whisk.actions.update({ name: 'late', action: sample('hello') });
  const patient = openwhisk({ retry: { retries: 8, minTimeout: 200, onRetry: deploy } });
  const options = { name: 'late', blocking: true, result: true };
  assert.deepEqual(await patient.actions.invoke(options), { greeting: 'Hello, World!' });
});

test('a transaction id', async () => {
  process.env.__OW_TRANSACTION_ID = 'one-of-mine';
  try {
    await assert.rejects(whisk.actions.get('x'), (error) => error.error.code === 'one-of-mine');
  } finally {
    delete process.env.__OW_TRANSACTION_ID;
  }
});

test('actions.delete', async () => {
  const deleted = await whisk.actions.delete('hello');
  assert.deepEqual([deleted.name, deleted.version], ['hello', '0.0.2']);
  await refused(404, /./, () => whisk.actions.delete('hello'));
  await whisk.actions.delete(['by default', 'faults', 'late']);
  assert.deepEqual(await whisk.actions.list(), []);
});
