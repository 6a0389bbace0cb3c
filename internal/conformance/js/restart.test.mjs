// Restart: again from the beginning, with what it was started with.

import assert from 'node:assert/strict';
import { Hub, output, failure, status, code } from './hub.mjs';

Hub.suite(import.meta.url, (hub) => {
  const runs = new Map();
  hub.orchestration('echo', async (_, value) => value);
  hub.orchestration('fail once', async (_, key) => {
    runs.set(key, (runs.get(key) ?? 0) + 1);
    if (runs.get(key) === 1) throw new Error('the first time');
    return `fine: ${key}`;
  });
  hub.orchestration('wait', async function* (ctx, value) {
    return [value, yield ctx.waitForExternalEvent('go')];
  });
  const restart = (id, fresh) => hub.client.restartOrchestration(id, fresh);
  const execution = async (id) => (await hub.raw(id)).getExecutionid().getValue();

  hub.test('under the same id', async () => {
    const id = await hub.start('echo', { n: 5 }, { instanceId: 'same', tags: { a: 'b' }, version: '1' });
    await hub.ended(id);
    const first = await execution(id);
    assert.equal(await restart(id), id);
    const state = await hub.ended(id);
    assert.deepEqual(output(state), { n: 5 });
    assert.deepEqual(state.tags, { a: 'b' });
    assert.equal((await hub.raw(id)).getVersion().getValue(), '1');
    assert.notEqual(await execution(id), first);
    assert.equal((await hub.history(id)).length, 3);
  });

  hub.test('under a new id', async () => {
    const input = { name: 'test', nested: { items: [1, 2, 3] } };
    const id = await hub.start('echo', input, { tags: { a: 'b' }, version: '1' });
    await hub.ended(id);
    const fresh = await restart(id, true);
    assert.match(fresh, /^[0-9a-f]{32}$/);
    const state = await hub.ended(fresh);
    assert.deepEqual(output(state), input);
    assert.deepEqual(state.tags, { a: 'b' });
    assert.equal((await hub.raw(fresh)).getVersion().getValue(), '1');
    assert.equal(status(await hub.client.getOrchestrationState(id)), 'COMPLETED');
  });

  for (const fresh of [false, true]) {
    hub.test(`one that failed, ${fresh ? 'new' : 'same'} id`, async () => {
      const key = `failed ${fresh}`;
      const id = await hub.start('fail once', key);
      failure(await hub.ended(id));
      const state = await hub.ended(await restart(id, fresh));
      assert.equal(output(state), `fine: ${key}`);
      assert.equal(state.failureDetails, undefined);
    });
  }

  hub.test('one that was terminated', async () => {
    const id = await hub.start('wait', 'mine');
    await hub.started(id);
    await hub.client.terminateOrchestration(id, 'enough');
    assert.equal(status(await hub.ended(id)), 'TERMINATED');
    const fresh = await restart(id, true);
    assert.equal(status(await hub.started(fresh)), 'RUNNING');
    await hub.client.raiseOrchestrationEvent(fresh, 'go', 'yes');
    assert.deepEqual(output(await hub.ended(fresh)), ['mine', 'yes']);
  });

  hub.test('one that runs: only under a new id', async () => {
    const id = await hub.start('wait', 'mine');
    await hub.started(id);
    await assert.rejects(restart(id, false), code('FAILED_PRECONDITION'));
    const fresh = await restart(id, true);
    assert.notEqual(fresh, id);
    for (const each of [id, fresh]) {
      assert.equal(status(await hub.started(each)), 'RUNNING');
      await hub.client.raiseOrchestrationEvent(each, 'go', each);
      assert.deepEqual(output(await hub.ended(each)), ['mine', each]);
    }
  });

  hub.test('one that is not there', async () => {
    await assert.rejects(restart('nobody', false), code('NOT_FOUND', /nobody/));
    await assert.rejects(restart('nobody', true), code('NOT_FOUND', /nobody/));
  });
});
