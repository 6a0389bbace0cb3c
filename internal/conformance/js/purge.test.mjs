// Removing instances.

import assert from 'node:assert/strict';
import { Hub, Status, sdk, pb, output, status } from './hub.mjs';

const { PurgeInstanceCriteria } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.orchestration('done', async () => 'done');
  hub.orchestration('wait', async function* (ctx) {
    return yield ctx.waitForExternalEvent('go');
  });
  hub.orchestration('parent', async function* (ctx, { depth, name }) {
    if (depth > 0) yield ctx.callSubOrchestrator('parent', { depth: depth - 1, name }, { instanceId: `${name}/${depth - 1}` });
    return 'done';
  });
  const purge = async (what, options) => (await hub.client.purgeOrchestration(what, options)).deletedInstanceCount;
  const gone = async (id) => {
    assert.equal(await hub.client.getOrchestrationState(id), undefined);
    assert.deepEqual(await hub.history(id), []);
  };

  hub.test('by id: state and history are gone, and the id is free', async () => {
    const id = await hub.start('done', null, 'by id');
    await hub.ended(id);
    assert.equal(await purge(id), 1);
    await gone(id);
    assert.equal(await purge(id), 0);
    assert.equal(output(await hub.run('done', null, id)), 'done');
  });

  hub.test('one that runs stays, and so does one that is not there', async () => {
    const id = await hub.start('wait');
    await hub.started(id);
    assert.equal(await purge(id), 0);
    assert.equal(await purge('nobody'), 0);
    await hub.client.raiseOrchestrationEvent(id, 'go', 'on');
    assert.equal(output(await hub.ended(id)), 'on');
  });

  hub.test('with all below', async () => {
    const id = await hub.start('parent', { depth: 2, name: 'with' });
    await hub.ended(id);
    assert.equal(await purge(id, { recursive: true }), 3);
    for (const child of [id, 'with/1', 'with/0']) await gone(child);
  });

  hub.test('alone', async () => {
    const id = await hub.start('parent', { depth: 1, name: 'without' });
    await hub.ended(id);
    assert.equal(await purge(id, { recursive: false }), 1);
    await gone(id);
    assert.equal(status(await hub.client.getOrchestrationState('without/0')), 'COMPLETED');
  });

  // alone runs body in a hub of its own: a filter reaches all of one.
  const alone = async (body) => {
    const other = new Hub('purged');
    other.orchestration('done', async () => 'done');
    other.orchestration('fail', async () => {
      throw new Error('no');
    });
    other.orchestration('wait', async function* (ctx) {
      return yield ctx.waitForExternalEvent('go');
    });
    await other.open();
    try {
      await other.run('done', null, 'completed');
      await other.run('fail', null, 'failed');
      await other.start('wait', null, 'running');
      await other.started('running');
      await body(other);
    } finally {
      await other.close();
    }
  };
  const left = async (other) => {
    const found = [];
    for await (const state of other.client.getAllInstances()) found.push(state.instanceId);
    return found.toSorted();
  };
  const criteria = ({ from, to, statuses = [] }) => {
    const criteria = new PurgeInstanceCriteria();
    criteria.setCreatedTimeFrom(from);
    criteria.setCreatedTimeTo(to);
    criteria.setRuntimeStatusList(statuses);
    criteria.setTimeout(30_000);
    return criteria;
  };

  hub.test('by status', () =>
    alone(async (other) => {
      const result = await other.client.purgeOrchestration(criteria({ statuses: [Status.FAILED] }));
      assert.equal(result.deletedInstanceCount, 1);
      assert.deepEqual(await left(other), ['completed', 'running']);
    }));

  hub.test('by time: all that have ended', () =>
    alone(async (other) => {
      const [past, future] = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)];
      assert.equal((await other.client.purgeOrchestration(criteria({ from: future }))).deletedInstanceCount, 0);
      assert.equal((await other.client.purgeOrchestration(criteria({ to: past }))).deletedInstanceCount, 0);
      assert.equal((await other.client.purgeOrchestration(criteria({ from: past, to: future }))).deletedInstanceCount, 2);
      assert.deepEqual(await left(other), ['running']);
    }));

  hub.test('a list of ids', () =>
    alone(async (other) => {
      const request = new pb.PurgeInstancesRequest();
      const batch = new pb.InstanceBatch();
      batch.setInstanceidsList(['completed', 'running', 'nobody']);
      request.setInstancebatch(batch);
      assert.equal((await other.rpc('purgeInstances', request)).getDeletedinstancecount(), 1);
      assert.deepEqual(await left(other), ['failed', 'running']);
    }));
});
