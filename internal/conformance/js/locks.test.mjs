// Critical sections: entities that an orchestration holds for itself.

import assert from 'node:assert/strict';
import { Hub, sdk, output, failure, status, until } from './hub.mjs';

const { EntityInstanceId, TaskEntity } = sdk;

class Counter extends TaskEntity {
  add(n) {
    return (this.state += n);
  }
  get() {
    return this.state;
  }
  initializeState() {
    return 0;
  }
}
const counter = (key) => new EntityInstanceId('Counter', key);

Hub.suite(import.meta.url, (hub) => {
  hub.entity('Counter', () => new Counter());
  const get = (key) => hub.client.getEntity(counter(key));
  // value is its state: none while it is only locked.
  const value = async (key) => {
    const metadata = await get(key);
    return metadata?.includesState ? metadata.state : undefined;
  };
  const free = (key) => until(`${key} is free`, async () => (await get(key))?.lockedBy === undefined);

  hub.orchestration('section', async function* (ctx, keys) {
    const outside = ctx.entities.isInCriticalSection().inSection;
    const lock = yield ctx.entities.lockEntities(...keys.map(counter));
    const { inSection, lockedEntities } = ctx.entities.isInCriticalSection();
    const results = [];
    for (const { key } of lockedEntities) results.push(yield ctx.entities.callEntity(counter(key), 'add', 1));
    for (let i = 0; i < 3; i++) lock.release();
    return { outside, inSection, after: ctx.entities.isInCriticalSection().inSection, keys: lockedEntities.map(({ key }) => key), results };
  });
  for (const [what, keys, wanted] of [
    ['one entity', ['one'], ['one']],
    ['three, in the order of their ids', ['z', 'a', 'm'], ['a', 'm', 'z']],
    ['one that is named three times', ['same', 'same', 'same'], ['same']],
    ['ten', Array.from({ length: 10 }, (_, i) => `ten ${i}`), Array.from({ length: 10 }, (_, i) => `ten ${i}`)],
  ]) {
    hub.test(`a section with ${what}`, async () => {
      assert.deepEqual(await hub.result('section', keys), { outside: false, inSection: true, after: false, keys: wanted, results: wanted.map(() => 1) });
      for (const key of wanted) await free(key);
    });
  }

  // It reads, waits, and writes what it read and one: right only if nobody came between.
  hub.orchestration('read, then write', async function* (ctx, key) {
    const lock = yield ctx.entities.lockEntities(counter(key));
    try {
      const before = yield ctx.entities.callEntity(counter(key), 'get');
      yield ctx.createTimer(0.05);
      return (yield ctx.entities.callEntity(counter(key), 'add', 1)) === before + 1;
    } finally {
      lock.release();
    }
  });
  hub.test('ten that want one entity come one after the other', async () => {
    const results = await Promise.all(Array.from({ length: 10 }, () => hub.result('read, then write', 'wanted')));
    assert.deepEqual(results, Array(10).fill(true));
    assert.equal(await value('wanted'), 10);
  });

  hub.orchestration('philosopher', async function* (ctx, { left, right }) {
    for (let i = 0; i < 3; i++) {
      const lock = yield ctx.entities.lockEntities(counter(left), counter(right));
      yield ctx.entities.callEntity(counter(left), 'add', 1);
      yield ctx.entities.callEntity(counter(right), 'add', 1);
      lock.release();
    }
  });
  hub.test('five philosophers all eat', async () => {
    const fork = (i) => `fork ${i % 5}`;
    await Promise.all(Array.from({ length: 5 }, (_, i) => hub.result('philosopher', { left: fork(i), right: fork(i + 1) })));
    for (let i = 0; i < 5; i++) assert.equal(await value(fork(i)), 6);
  });

  hub.orchestration('hold', async function* (ctx, { key, end }) {
    const lock = yield ctx.entities.lockEntities(counter(key));
    yield ctx.entities.callEntity(counter(key), 'add', 1);
    const go = yield ctx.waitForExternalEvent('go');
    if (end === 'fail') throw new Error('while it held the lock');
    if (end === 'continue' && go !== 'again') return ctx.continueAsNew({ key, end: 'release' });
    if (end === 'release') lock.release();
    return 'done';
  });
  const hold = async (key, end) => {
    const id = await hub.start('hold', { key, end });
    await until('it is locked', async () => (await value(key)) === 1);
    return id;
  };
  const call = (key, n) => hub.start('add', { key, n });
  hub.orchestration('add', async function* (ctx, { key, n }) {
    return yield ctx.entities.callEntity(counter(key), 'add', n);
  });

  hub.test('who holds it is in its metadata, and others wait', async () => {
    const id = await hold('held', 'release');
    assert.equal((await get('held')).lockedBy, id);
    await hub.client.signalEntity(counter('held'), 'add', 10);
    const other = await call('held', 100);
    await hub.started(other);
    await hub.result('section', ['other']);
    assert.equal(status(await hub.client.getOrchestrationState(other)), 'RUNNING');
    assert.equal(await value('held'), 1);
    await hub.client.raiseOrchestrationEvent(id, 'go');
    assert.equal(output(await hub.ended(other)), 111);
    assert.equal(output(await hub.ended(id)), 'done');
    await free('held');
  });

  for (const end of ['return', 'fail', 'continue']) {
    hub.test(`a holder's end frees it: ${end}`, async () => {
      const key = `freed by ${end}`;
      const id = await hold(key, end);
      const other = await call(key, 10);
      await hub.client.raiseOrchestrationEvent(id, 'go');
      if (end === 'fail') failure(await hub.ended(id));
      assert.equal(output(await hub.ended(other)), 11);
      if (end === 'continue') {
        await until('the next execution has its turn', async () => (await value(key)) === 12);
        await hub.client.raiseOrchestrationEvent(id, 'go', 'again');
        assert.equal(output(await hub.ended(id)), 'done');
      }
      await free(key);
    });
  }

  hub.test('a holder that is terminated frees it', async () => {
    const id = await hold('freed by termination');
    const other = await call('freed by termination', 10);
    await hub.client.terminateOrchestration(id, 'x');
    assert.equal(output(await hub.ended(other)), 11);
    await free('freed by termination');
  });

  hub.test('one that waits for the lock and is terminated does not get it', async () => {
    const id = await hold('left', 'release');
    const waits = await hub.start('hold', { key: 'left', end: 'release' });
    await hub.started(waits);
    await hub.client.terminateOrchestration(waits, 'x');
    assert.equal(status(await hub.ended(waits)), 'TERMINATED');
    const other = await call('left', 10);
    await hub.client.raiseOrchestrationEvent(id, 'go');
    assert.equal(output(await hub.ended(other)), 11);
    await free('left');
  });

  hub.orchestration('signal inside', async function* (ctx, key) {
    const lock = yield ctx.entities.lockEntities(counter(key));
    ctx.entities.signalEntity(counter(`${key} beside`), 'add', 1);
    let refused = 0;
    for (const act of [
      () => ctx.entities.signalEntity(counter(key), 'add', 1),
      () => ctx.entities.callEntity(counter(`${key} beside`), 'get'),
      () => ctx.entities.lockEntities(counter(`${key} beside`)),
    ]) {
      try {
        act();
      } catch {
        refused++;
      }
    }
    lock.release();
    return [refused, yield ctx.entities.callEntity(counter(`${key} beside`), 'get')];
  });
  hub.test('inside, others may be signalled', async () => {
    assert.deepEqual(await hub.result('signal inside', 'inside'), [3, 1]);
  });
});
