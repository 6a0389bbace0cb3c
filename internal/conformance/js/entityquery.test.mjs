// Finding entities, and cleaning up after them.

import assert from 'node:assert/strict';
import { Hub, sdk, until } from './hub.mjs';

const { EntityInstanceId, TaskEntity } = sdk;

class Counter extends TaskEntity {
  add(n) {
    return (this.state += n);
  }
  initializeState() {
    return 0;
  }
}

// A visit leaves no state.
const visit = () => ({ run: () => 'visited' });

Hub.suite(import.meta.url, (hub) => {
  hub.entity('Counter', () => new Counter());
  hub.entity('Visit', visit);
  hub.orchestration('call', async function* (ctx, { name, key, operation, input }) {
    return yield ctx.entities.callEntity(new EntityInstanceId(name, key), operation, input);
  });
  const call = (name, key, operation, input) => hub.result('call', { name, key, operation, input });
  const all = async (pageable) => {
    const found = [];
    for await (const item of pageable) found.push(item);
    return found;
  };
  const find = (query) => all(hub.client.getEntities(query));
  const keys = async (query) => (await find(query)).map(({ id }) => id.key).toSorted();
  const group = async (prefix, n) => {
    await Promise.all(Array.from({ length: n }, (_, i) => call('Counter', `${prefix}${i}`, 'add', 10 * (i + 1))));
    return Array.from({ length: n }, (_, i) => `${prefix}${i}`);
  };

  hub.test('by the beginning of the id, whatever the case of the name', async () => {
    const wanted = await group('prefix-', 3);
    await group('other-', 1);
    for (const prefix of ['@counter@prefix-', '@Counter@prefix-']) {
      assert.deepEqual(await keys({ instanceIdStartsWith: prefix }), wanted);
    }
    assert.deepEqual(await keys({ instanceIdStartsWith: '@counter@no such' }), []);
    assert.ok((await keys({ instanceIdStartsWith: 'counter' })).includes('other-0'));
    assert.ok((await keys()).includes('other-0'));
  });

  hub.test('with and without state', async () => {
    await group('state-', 3);
    const states = (await find({ instanceIdStartsWith: '@counter@state-', includeState: true })).map(({ state }) => state);
    assert.deepEqual(states.toSorted((a, b) => a - b), [10, 20, 30]);
    for (const { includesState } of await find({ instanceIdStartsWith: '@counter@state-', includeState: false })) assert.equal(includesState, false);
  });

  hub.test('in pages', async () => {
    const wanted = await group('page-', 5);
    const pages = await all(hub.client.getEntities({ instanceIdStartsWith: '@counter@page-', pageSize: 2 }).asPages());
    assert.deepEqual(pages.map(({ values }) => values.length), [2, 2, 1]);
    assert.deepEqual(pages.flatMap(({ values }) => values.map(({ id }) => id.key)).toSorted(), wanted);
  });

  hub.test('by time of their last change', async () => {
    await group('time-', 1);
    const changed = (await hub.client.getEntity(new EntityInstanceId('Counter', 'time-0'))).lastModifiedTime.getTime();
    const within = (from, to) => keys({ instanceIdStartsWith: '@counter@time-', lastModifiedFrom: new Date(changed + from), lastModifiedTo: new Date(changed + to) });
    assert.deepEqual(await within(-60_000, 60_000), ['time-0']);
    assert.deepEqual(await within(-60_000, -1000), []);
    assert.deepEqual(await within(1000, 60_000), []);
  });

  hub.test('those without state are not there', async () => {
    assert.equal(await call('Visit', 'gone', 'anything'), 'visited');
    await call('Counter', 'deleted', 'add', 1);
    await call('Counter', 'deleted', 'delete');
    assert.deepEqual(await keys({ instanceIdStartsWith: '@visit@' }), []);
    assert.deepEqual(await keys({ instanceIdStartsWith: '@counter@deleted' }), []);
    assert.equal(await hub.client.getEntity(new EntityInstanceId('Visit', 'gone')), undefined);
  });

  hub.orchestration('hold', async function* (ctx, key) {
    yield ctx.entities.lockEntities(new EntityInstanceId('Counter', key));
    yield ctx.waitForExternalEvent('go');
  });
  hub.test('cleaning takes nothing that is in use', async () => {
    const id = await hub.start('hold', 'cleaned');
    const held = () => hub.client.getEntity(new EntityInstanceId('Counter', 'cleaned'));
    await until('it is locked', async () => (await held())?.lockedBy === id);
    await group('kept-', 1);
    for (const request of [undefined, { removeEmptyEntities: true, releaseOrphanedLocks: false }, { removeEmptyEntities: true, releaseOrphanedLocks: true }]) {
      assert.deepEqual(await hub.client.cleanEntityStorage(request), { continuationToken: undefined, emptyEntitiesRemoved: 0, orphanedLocksReleased: 0 });
    }
    assert.equal((await held()).lockedBy, id);
    assert.equal((await hub.client.getEntity(new EntityInstanceId('Counter', 'kept-0'))).state, 10);
    await hub.client.raiseOrchestrationEvent(id, 'go');
    await hub.ended(id);
    await until('it is free', async () => (await held())?.lockedBy === undefined);
  });
});
