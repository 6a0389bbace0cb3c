// Rewind: go on where it failed.

import assert from 'node:assert/strict';
import { Hub, sdk, output, failure, status, code } from './hub.mjs';

const { HistoryEventType, whenAll } = sdk;

Hub.suite(import.meta.url, (hub) => {
  const runs = new Map();
  const count = (key) => {
    runs.set(key, (runs.get(key) ?? 0) + 1);
    return runs.get(key);
  };
  hub.activity('count', (_, key) => count(key));
  hub.activity('fail', (_, { key, times }) => {
    const n = count(key);
    if (n <= times) throw new Error(`failed ${n} times`);
    return n;
  });

  hub.orchestration('throw once', async (_, key) => {
    const n = count(key);
    if (n === 1) throw new Error('the first time');
    return `run ${n}`;
  });
  hub.test('one whose own code failed', async () => {
    const id = await hub.start('throw once', 'own code');
    assert.match(failure(await hub.ended(id)).message, /the first time/);
    await hub.client.rewindInstance(id, 'it was the network');
    const state = await hub.ended(id);
    assert.match(output(state), /^run \d+$/);
    assert.equal(state.failureDetails, undefined);
  });

  hub.orchestration('steps', async function* (ctx, { key, times }) {
    const before = yield ctx.callActivity('count', `${key} before`);
    const n = yield ctx.callActivity('fail', { key, times });
    const after = yield ctx.callActivity('count', `${key} after`);
    return [before, n, after];
  });
  hub.test('what was done stays done, what failed is done again', async () => {
    const id = await hub.start('steps', { key: 'steps', times: 1 });
    failure(await hub.ended(id));
    const first = (await hub.raw(id)).getExecutionid().getValue();
    await hub.client.rewindInstance(id, 'again');
    assert.deepEqual(output(await hub.ended(id)), [1, 2, 1]);
    assert.notEqual((await hub.raw(id)).getExecutionid().getValue(), first);
    const failed = (await hub.history(id)).filter((event) => event.type === HistoryEventType.TaskFailed);
    assert.equal(failed.length, 0);
  });

  hub.test('twice', async () => {
    const id = await hub.start('steps', { key: 'twice', times: 2 });
    for (let i = 0; i < 2; i++) {
      failure(await hub.ended(id));
      await hub.client.rewindInstance(id, `try ${i}`);
    }
    assert.deepEqual(output(await hub.ended(id)), [1, 3, 1]);
  });

  hub.orchestration('side by side', async function* (ctx, key) {
    return yield whenAll([
      ctx.callActivity('count', `${key} good`), ctx.callActivity('fail', { key: `${key} bad`, times: 1 }), ctx.callActivity('fail', { key: `${key} worse`, times: 1 }),
    ]);
  });
  hub.test('several that failed side by side', async () => {
    const id = await hub.start('side by side', 'several');
    failure(await hub.ended(id));
    await hub.client.rewindInstance(id, 'both');
    assert.deepEqual((output(await hub.ended(id))).slice(0, 2), [1, 2]);
  });

  hub.orchestration('parent', async function* (ctx, { key, depth, name }) {
    const options = { instanceId: `${name}/${depth}` };
    return yield depth === 0
      ? ctx.callSubOrchestrator('steps', { key, times: 1 }, options)
      : ctx.callSubOrchestrator('parent', { key, depth: depth - 1, name }, options);
  });
  hub.test('one whose grandchild failed: they are rewound with it', async () => {
    const id = await hub.start('parent', { key: 'grandchild', depth: 1, name: 'family' });
    failure(await hub.ended(id));
    await hub.client.rewindInstance(id, 'all of it');
    assert.deepEqual(output(await hub.ended(id)), [1, 2, 1]);
    assert.deepEqual(output(await hub.ended('family/0')), [1, 2, 1]);
  });

  hub.test('one whose failed child is gone makes it anew', async () => {
    const id = await hub.start('parent', { key: 'gone', depth: 0, name: 'purged' });
    failure(await hub.ended(id));
    assert.equal((await hub.client.purgeOrchestration('purged/0')).deletedInstanceCount, 1);
    await hub.client.rewindInstance(id, 'anew');
    assert.deepEqual(output(await hub.ended(id)), [2, 2, 1]);
  });

  hub.orchestration('wait', async function* (ctx) {
    return yield ctx.waitForExternalEvent('go');
  });
  hub.orchestration('fine', async () => 'fine');
  hub.test('only one that failed', async () => {
    const rewind = (id) => hub.client.rewindInstance(id, 'test');
    await assert.rejects(rewind('nobody'), code('NOT_FOUND'));
    await hub.run('fine', null, 'fine');
    await assert.rejects(rewind('fine'), code('FAILED_PRECONDITION'));
    await hub.start('wait', null, 'runs');
    await hub.started('runs');
    await assert.rejects(rewind('runs'), code('FAILED_PRECONDITION', /not allow|precondition|running/i));
    await hub.client.terminateOrchestration('runs', 'x');
    assert.equal(status(await hub.ended('runs')), 'TERMINATED');
    await assert.rejects(rewind('runs'), code('FAILED_PRECONDITION'));
    assert.equal(output(await hub.client.getOrchestrationState('fine')), 'fine');
  });
});
