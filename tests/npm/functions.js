// Functions in source code by the npm package `openwhisk`, as it is published. Started by
// `tests/tests/languages/npm.rs` with the node's address and key, a kind, source text in that
// language with `main` that adds `args.a` and `args.b` to `{"sum":…}`, and a zip archive of it whose
// function is called `add`.

'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { test } = require('node:test');
const openwhisk = require('openwhisk');

const { KIND: kind, SOURCE: source, ARCHIVE: archive, BROKEN: broken } = process.env;
const whisk = openwhisk();
const annotation = (thing, key) => thing.annotations.find((one) => one.key === key)?.value;
const sum = (name, params) => whisk.actions.invoke({ name, params, blocking: true, result: true });
// Others use this node, too.
async function ours() {
  return (await whisk.actions.list({ limit: 200 })).filter((one) => one.name.startsWith('npm-'));
}

test('actions.create with source text', async () => {
  const action = await whisk.actions.create({
    name: 'npm-sum', action: source, kind, params: { b: 2 }, limits: { timeout: 60000, memory: 64 },
  });
  assert.equal(action.exec.kind, kind);
  assert.equal(action.exec.binary, false);
  assert.equal(annotation(action, 'exec'), kind);
});

test('actions.get gives the text back', async () => {
  const action = await whisk.actions.get({ name: 'npm-sum' });
  assert.deepEqual([action.exec.code, action.exec.kind], [source, kind]);
});

test('actions.list', async () => {
  const [action] = await ours();
  assert.deepEqual([action.name, action.exec.binary], ['npm-sum', false]);
});

test('actions.invoke with bound and other arguments', async () => {
  assert.deepEqual(await sum('npm-sum', { a: 1 }), { sum: 3 });
  assert.deepEqual(await sum('npm-sum', { a: 1, b: 'ä' }), { sum: '1ä' });
});

test('actions.invoke by its activation', async () => {
  const { activationId } = await whisk.actions.invoke({ name: 'npm-sum', params: { a: 40 } });
  for (;;) {
    const [found] = (await whisk.activations.list({ limit: 200 }))
      .filter((one) => one.activationId === activationId);
    if (found) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { response, annotations } = await whisk.activations.get({ name: activationId });
  assert.deepEqual(response.result, { sum: 42 });
  assert.equal(annotations.find((one) => one.key === 'kind').value, kind);
});

test('actions.update with an archive, and the name of its function', async () => {
  // The package has no word for `main`: it goes into the body that it sends.
  const action = { exec: { kind, code: readFileSync(archive).toString('base64'), main: 'add' } };
  const updated = await whisk.actions.update({ name: 'npm-sum', action });
  assert.equal(updated.exec.main, 'add');
  assert.equal(updated.exec.binary, true);
  assert.equal(updated.version, '0.0.2');
  assert.deepEqual(await sum('npm-sum', { a: 1 }), { sum: 3 });
});

test('code that cannot be loaded is refused, and the action stays', async () => {
  await assert.rejects(whisk.actions.update({ name: 'npm-sum', action: broken, kind }), (error) => {
    assert.equal(error.statusCode, 400, error.message);
    assert.match(error.error.error, /could not be prepared/);
    return true;
  });
  assert.deepEqual(await sum('npm-sum', { a: 1 }), { sum: 3 });
});

test('a kind that is not there is refused with those that are', async () => {
  const create = whisk.actions.create({ name: 'npm-other', action: source, kind: 'cobol:85' });
  await assert.rejects(create, (error) => error.error.error.includes(`'${kind.split(':')[0]}`));
});

test('actions.delete', async () => {
  await whisk.actions.delete({ name: 'npm-sum' });
  assert.deepEqual(await ours(), []);
});
