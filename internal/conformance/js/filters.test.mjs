// Workers that say what they can do get that, and nothing else.

import assert from 'node:assert/strict';
import { Hub, sdk, output, status } from './hub.mjs';

const { EntityInstanceId, TaskEntity } = sdk;

class Counter extends TaskEntity {
  add(n) {
    return (this.state += n);
  }
  initializeState() {
    return 0;
  }
}

Hub.suite(import.meta.url, (hub) => {
  // alone runs body in a hub that has definitions, but no worker yet.
  const alone = async (body) => {
    const other = new Hub('filtered');
    other.activity('greet', (_, name) => `Hello, ${name}!`);
    other.activity('shout', (_, name) => name.toUpperCase());
    other.orchestration('greet', async function* (ctx, name) {
      return yield ctx.callActivity('greet', name);
    });
    other.orchestration('shout', async function* (ctx, name) {
      return yield ctx.callActivity('shout', name);
    });
    other.orchestration('both', async function* (ctx, name) {
      return [yield ctx.callActivity('greet', name), yield ctx.callActivity('shout', name)];
    });
    other.orchestration('quick', async () => 'quick');
    other.orchestration('count', async function* (ctx, n) {
      return yield ctx.entities.callEntity(new EntityInstanceId('Counter', 'c'), 'add', n);
    });
    other.entity('Counter', () => new Counter());
    await other.create();
    try {
      await body(other);
    } finally {
      await other.close();
    }
  };
  // pending checks that an instance waits, while others that came later are done.
  const pending = async (other, id) => {
    for (let i = 0; i < 5; i++) assert.equal(await other.result('quick'), 'quick');
    assert.equal(status(await other.client.getOrchestrationState(id)), 'PENDING');
  };

  hub.test('no filters: all work', () =>
    alone(async (other) => {
      await other.work();
      assert.equal(await other.result('greet', 'all'), 'Hello, all!');
    }));

  hub.test('filters from what a worker has', () =>
    alone(async (other) => {
      await other.work({ workItemFilters: 'auto' }, ['quick', 'greet']);
      const id = await other.start('shout', 'later');
      assert.equal(await other.result('greet', 'now'), 'Hello, now!');
      await pending(other, id);
      await other.work({ workItemFilters: 'auto' }, ['shout']);
      assert.equal(output(await other.ended(id)), 'LATER');
    }));

  hub.test('a registered name that the filter leaves out', () =>
    alone(async (other) => {
      await other.work({ workItemFilters: { orchestrations: [{ name: 'quick' }], activities: [{ name: 'greet' }] } });
      const id = await other.start('greet', 'x');
      await pending(other, id);
    }));

  hub.test('a version that the filter leaves out', () =>
    alone(async (other) => {
      await other.work({ workItemFilters: { orchestrations: [{ name: 'quick' }, { name: 'greet', versions: ['1.0.0'] }], activities: [{ name: 'greet' }] } });
      const none = await other.start('greet', 'none');
      const later = await other.start('greet', 'later', { version: '9.9.9' });
      assert.equal(await other.result('greet', 'now', { version: '1.0.0' }), 'Hello, now!');
      await pending(other, later);
      await pending(other, none);
      await other.work({ workItemFilters: { orchestrations: [{ name: 'greet', versions: ['9.9.9', ''] }] } });
      assert.equal(output(await other.ended(later)), 'Hello, later!');
      assert.equal(output(await other.ended(none)), 'Hello, none!');
    }));

  hub.test('an activity without a version has its orchestration\'s', () =>
    alone(async (other) => {
      await other.work({ workItemFilters: { orchestrations: [{ name: 'greet', versions: ['3.0.0'] }], activities: [{ name: 'greet', versions: ['3.0.0'] }] } });
      assert.equal(await other.result('greet', 'three', { version: '3.0.0' }), 'Hello, three!');
    }));

  hub.test('names that stand twice', () =>
    alone(async (other) => {
      const twice = [{ name: 'greet', versions: ['1'] }, { name: 'greet', versions: ['2'] }];
      await other.work({ workItemFilters: { orchestrations: twice, activities: twice } });
      for (const version of ['1', '2']) assert.equal(await other.result('greet', version, { version }), `Hello, ${version}!`);
    }));

  hub.test('orchestrations here, activities there', () =>
    alone(async (other) => {
      const orchestrations = [{ name: 'both' }, { name: 'quick' }];
      await other.work({ workItemFilters: { orchestrations } }, ['both', 'quick']);
      const id = await other.start('both', 'you');
      await other.started(id);
      await other.result('quick');
      assert.equal(status(await other.client.getOrchestrationState(id)), 'RUNNING');
      await other.work({ workItemFilters: { activities: [{ name: 'greet' }] } }, ['greet']);
      await other.work({ workItemFilters: { activities: [{ name: 'shout' }] } }, ['shout']);
      assert.deepEqual(output(await other.ended(id)), ['Hello, you!', 'YOU']);
    }));

  hub.test('entities by name, whatever its case', () =>
    alone(async (other) => {
      await other.work({ workItemFilters: { orchestrations: [{ name: 'count' }, { name: 'quick' }] } }, ['count', 'quick']);
      const id = await other.start('count', 5);
      await other.started(id);
      await other.result('quick');
      assert.equal(status(await other.client.getOrchestrationState(id)), 'RUNNING');
      await other.work({ workItemFilters: { entities: [{ name: 'COUNTER' }] } }, ['Counter']);
      assert.equal(output(await other.ended(id)), 5);
    }));
});
