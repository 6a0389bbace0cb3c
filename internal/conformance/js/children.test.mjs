// Sub-orchestrations.

import assert from 'node:assert/strict';
import { Hub, sdk, output, failure, status } from './hub.mjs';

const { whenAll, HistoryEventType } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.activity('double', (_, n) => 2 * n);
  hub.orchestration('double', async function* (ctx, n) {
    return yield ctx.callActivity('double', n);
  });

  hub.orchestration('call', async function* (ctx, { name, input, options }) {
    return yield ctx.callSubOrchestrator(name, input, options);
  });
  hub.test('a child gives its result', async () => {
    assert.equal(await hub.result('call', { name: 'double', input: 21 }), 42);
  });

  hub.orchestration('family', async (ctx) => ({ parent: ctx.parent ?? null, me: ctx.instanceId }));
  hub.test('a child knows its parent, and one that a client started has none', async () => {
    const id = await hub.start('call', { name: 'family' });
    const { parent, me } = output(await hub.ended(id));
    assert.deepEqual(parent, { name: 'call', instanceId: id, taskScheduledId: 1 });
    assert.match(me, /^[0-9a-f]{32}:0001$/);
    assert.equal(me.slice(0, 32), (await hub.raw(id)).getExecutionid().getValue());
    assert.equal((await hub.raw(me)).getParentinstanceid().getValue(), id);
    assert.equal((await hub.raw(id)).getParentinstanceid(), undefined);
    assert.equal((await hub.result('family')).parent, null);
  });

  hub.test('a child may be given an id', async () => {
    const options = { instanceId: 'the child' };
    assert.equal((await hub.result('call', { name: 'family', options })).me, 'the child');
    assert.equal(status(await hub.client.getOrchestrationState('the child')), 'COMPLETED');
  });

  hub.orchestration('deep', async function* (ctx, n) {
    return n === 0 ? [ctx.instanceId] : [ctx.instanceId, ...(yield ctx.callSubOrchestrator('deep', n - 1))];
  });
  hub.test('ten generations, none with a long id', async () => {
    const ids = await hub.result('deep', 10);
    assert.equal(new Set(ids).size, 11);
    for (const id of ids) assert.ok(id.length <= 37, id);
  });

  hub.orchestration('many', async function* (ctx, n) {
    return yield whenAll(Array.from({ length: n }, (_, i) => ctx.callSubOrchestrator('double', i)));
  });
  hub.test('twenty side by side', async () => {
    assert.deepEqual(await hub.result('many', 20), Array.from({ length: 20 }, (_, i) => 2 * i));
  });

  hub.orchestration('fail', async () => {
    throw Object.assign(new Error('the child said no'), { name: 'Refused' });
  });
  hub.test('the failure of a child is its parent\'s', async () => {
    const id = await hub.start('call', { name: 'fail' });
    assert.match(failure(await hub.ended(id)).message, /the child said no/);
    const failed = (await hub.history(id)).find((event) => event.type === HistoryEventType.SubOrchestrationInstanceFailed);
    assert.equal(failed.failureDetails.errorType, 'Refused');
    assert.equal(failed.failureDetails.message, 'the child said no');
    assert.match(failed.failureDetails.stackTrace, /children\.test\.mjs/);
    assert.equal(failed.taskScheduledId, 1);
  });

  hub.orchestration('catch', async function* (ctx) {
    try {
      yield ctx.callSubOrchestrator('fail');
    } catch (error) {
      return error.message;
    }
  });
  hub.test('a parent may catch it', async () => {
    assert.match(await hub.result('catch'), /the child said no/);
  });

  hub.orchestration('wait', async function* (ctx) {
    return yield ctx.waitForExternalEvent('go');
  });
  hub.test('a child whose id is in use fails, and leaves the other alone', async () => {
    const id = await hub.start('wait', null, 'taken');
    await hub.started(id);
    failure(await hub.run('call', { name: 'family', options: { instanceId: 'taken' } }));
    await hub.client.raiseOrchestrationEvent(id, 'go', 'still me');
    assert.equal(output(await hub.ended(id)), 'still me');
  });

  hub.test('a child takes the place of one that has ended', async () => {
    const options = { instanceId: 'used' };
    for (const n of [1, 2, 3]) assert.equal(await hub.result('call', { name: 'double', input: n, options }), 2 * n);
    assert.equal((await hub.client.getOrchestrationState('used')).serializedInput, '3');
  });

  hub.orchestration('again and again', async (ctx, n) => {
    if (n > 0) ctx.continueAsNew(n - 1);
    return 'at last';
  });
  hub.test('a child that continues as new answers at its end', async () => {
    assert.equal(await hub.result('call', { name: 'again and again', input: 5 }), 'at last');
  });

  hub.orchestration('identity', async (ctx) => ctx.version);
  hub.test('version and tags of a child', async () => {
    const options = { instanceId: 'with version', version: '2.1', tags: { colour: 'red' } };
    const id = await hub.start('call', { name: 'identity', options });
    assert.equal(output(await hub.ended(id)), '2.1');
    assert.deepEqual((await hub.client.getOrchestrationState('with version')).tags, { colour: 'red' });
    const created = (await hub.history(id)).find((event) => event.type === HistoryEventType.SubOrchestrationInstanceCreated);
    assert.deepEqual([created.instanceId, created.name, created.version, created.tags], ['with version', 'identity', '2.1', { colour: 'red' }]);
  });

  hub.test('a child that is terminated fails for its parent', async () => {
    const id = await hub.start('call', { name: 'wait', options: { instanceId: 'lost child' } });
    await hub.settled('lost child', sdk.OrchestrationStatus.RUNNING);
    await hub.client.terminateOrchestration('lost child', 'no more');
    assert.equal(status(await hub.ended('lost child')), 'TERMINATED');
    failure(await hub.ended(id));
  });
});
