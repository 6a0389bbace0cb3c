// Entities: signals, calls, state.

import assert from 'node:assert/strict';
import { Hub, sdk, output, failure, status, code, until } from './hub.mjs';

const { EntityInstanceId, TaskEntity, whenAll } = sdk;

class Counter extends TaskEntity {
  add(n) {
    this.state.count += n;
    return this.state.count;
  }
  get() {
    return this.state.count;
  }
  reset() {
    this.state.count = 0;
  }
  spoil(n) {
    this.state.count += n;
    this.context.signalEntity(new EntityInstanceId('Counter', 'spoiled'), 'add', n);
    throw Object.assign(new Error(`spoiled by ${n}`), { name: 'Spoiled' });
  }
  initializeState() {
    return { count: 0 };
  }
}

class Account extends TaskEntity {
  owner(name) {
    this.state.owner = name;
  }
  deposit(amount) {
    this.state.balance += amount;
    this.state.changes++;
    return this.state.balance;
  }
  withdraw(amount) {
    if (amount > this.state.balance) throw new Error(`only ${this.state.balance}`);
    return this.deposit(-amount);
  }
  all() {
    return { ...this.state };
  }
  initializeState() {
    return { balance: 0, owner: 'nobody', changes: 0 };
  }
}

class Log extends TaskEntity {
  write(line) {
    this.state.push(line);
  }
  read() {
    return this.state;
  }
  initializeState() {
    return [];
  }
}

class Coordinator extends TaskEntity {
  forward({ to, amounts }) {
    for (const amount of amounts) this.context.signalEntity(new EntityInstanceId('Counter', to), 'add', amount);
  }
  later({ to, amount, at }) {
    this.context.signalEntity(new EntityInstanceId('Counter', to), 'add', amount, { signalTime: new Date(at) });
  }
  begin({ name, input, instanceId, startAt }) {
    return this.context.scheduleNewOrchestration(name, input, { instanceId, startAt: startAt && new Date(startAt) });
  }
  initializeState() {
    return {};
  }
}

// Not a TaskEntity: it sees operations as they are.
const bare = () => ({
  run(operation) {
    if (operation.name === 'has input') return [operation.hasInput, operation.getInput() ?? null];
    if (operation.name === 'set') return operation.state.setState(operation.getInput());
    return operation.state.hasState ? operation.state.getState() : 'nothing';
  },
});

Hub.suite(import.meta.url, (hub) => {
  hub.entity('Counter', () => new Counter());
  hub.entity('Account', () => new Account());
  hub.entity('Log', () => new Log());
  hub.entity('Coordinator', () => new Coordinator());
  hub.entity('Bare', bare);

  hub.orchestration('call', async function* (ctx, { name, key, calls }) {
    const results = [];
    for (const [operation, input] of calls) {
      results.push(yield ctx.entities.callEntity(new EntityInstanceId(name, key), operation, input));
    }
    return results;
  });
  // call calls operations one after the other, behind the signals that were sent before.
  const call = (name, key, ...calls) => hub.result('call', { name, key, calls });
  const signal = (name, key, operation, input, options) => hub.client.signalEntity(new EntityInstanceId(name, key), operation, input, options);
  const get = (name, key, includeState) => hub.client.getEntity(new EntityInstanceId(name, key), includeState);

  hub.test('signals change its state, in order', async () => {
    for (const n of [10, 5, -3]) await signal('Counter', 'signals', 'add', n);
    assert.deepEqual(await call('Counter', 'signals', ['get']), [12]);
    const metadata = await get('Counter', 'signals');
    assert.deepEqual(metadata.state, { count: 12 });
    assert.equal(metadata.id.toString(), '@counter@signals');
    assert.ok(Math.abs(metadata.lastModifiedTime - Date.now()) < 60_000);
    assert.equal(metadata.lockedBy, undefined);
  });

  hub.test('its state only for who asks for it', async () => {
    await call('Counter', 'without state', ['add', 1]);
    assert.equal((await get('Counter', 'without state', false)).includesState, false);
  });

  hub.test('one that nobody has signalled is not there', async () => {
    assert.equal(await get('Counter', 'nobody'), undefined);
  });

  hub.test('one by one, keys and names apart', async () => {
    await signal('Counter', 'apart 1', 'add', 100);
    await signal('Counter', 'apart 2', 'add', 50);
    await signal('Account', 'apart 1', 'deposit', 7);
    assert.deepEqual(await call('Counter', 'apart 1', ['add', 25]), [125]);
    assert.deepEqual(await call('Counter', 'apart 2', ['get']), [50]);
    assert.deepEqual(await call('Account', 'apart 1', ['all']), [{ balance: 7, owner: 'nobody', changes: 1 }]);
  });

  hub.test('names without regard to case, keys with it', async () => {
    await signal('COUNTER', 'Key', 'ADD', 1);
    assert.deepEqual(await call('counter', 'Key', ['Get']), [1]);
    assert.deepEqual(await call('Counter', 'key', ['get']), [0]);
  });

  hub.test('a key may have any letters', async () => {
    for (const key of ['with@at@signs', 'ключ 🔑', '%_"\'']) {
      assert.deepEqual(await call('Counter', key, ['add', 2]), [2], key);
      assert.equal((await get('Counter', key)).id.key, key);
    }
  });

  hub.test('calls give results', async () => {
    const results = await call('Account', 'calls', ['owner', 'Bob'], ['deposit', 500], ['withdraw', 200], ['all']);
    assert.deepEqual(results.slice(1), [500, 300, { balance: 300, owner: 'Bob', changes: 2 }]);
  });

  hub.orchestration('call without input', async function* (ctx, key) {
    return yield ctx.entities.callEntity(new EntityInstanceId('Bare', key), 'has input');
  });
  hub.test('falsy inputs and states, and none', async () => {
    assert.deepEqual(await hub.result('call without input', 'no input'), [false, null]);
    for (const value of [0, '', false]) {
      assert.deepEqual(await call('Bare', `falsy ${value}`, ['has input', value], ['set', value], ['get']), [[true, value], null, value]);
      assert.deepEqual((await get('Bare', `falsy ${value}`)).state, value);
    }
    assert.deepEqual(await call('Bare', 'null', ['has input', null]), [[true, null]]);
  });

  hub.test('an operation that fails changes nothing, and the next ones run', async () => {
    await signal('Account', 'errors', 'deposit', 100);
    await signal('Account', 'errors', 'withdraw', 500);
    await signal('Account', 'errors', 'withdraw', 30);
    assert.deepEqual(await call('Account', 'errors', ['all']), [{ balance: 70, owner: 'nobody', changes: 2 }]);
  });

  hub.orchestration('catch', async function* (ctx, { name, operation }) {
    const id = new EntityInstanceId(name, 'caught');
    try {
      yield ctx.entities.callEntity(id, operation, 5);
    } catch (error) {
      return { message: error.message, details: error.failureDetails, count: name === 'Counter' ? yield ctx.entities.callEntity(id, 'get') : null };
    }
  });
  hub.test('the failure of a call reaches the caller, without what the operation had done', async () => {
    const { message, details, count } = await hub.result('catch', { name: 'Counter', operation: 'spoil' });
    assert.match(message, /spoiled by 5/);
    assert.equal(details.errorType, 'Spoiled');
    assert.equal(count, 0);
    assert.deepEqual(await call('Counter', 'spoiled', ['get']), [0]);
  });

  hub.test('an operation or entity that no worker knows', async () => {
    assert.match((await hub.result('catch', { name: 'Counter', operation: 'unheard of' })).message, /unheard of/);
    assert.equal((await hub.result('catch', { name: 'Unheard', operation: 'of' })).details.errorType, 'EntityTaskNotFound');
  });

  hub.test('a failure that the caller does not catch is its own', async () => {
    assert.match(failure(await hub.run('call', { name: 'Counter', key: 'uncaught', calls: [['spoil', 1]] })).message, /spoiled by 1/);
  });

  hub.orchestration('signal', async function* (ctx, { key, n }) {
    const id = new EntityInstanceId('Counter', key);
    for (let i = 0; i < n; i++) ctx.entities.signalEntity(id, 'add', 1);
    const between = yield ctx.entities.callEntity(id, 'get');
    ctx.entities.signalEntity(id, 'add', 1);
    return [between, yield ctx.entities.callEntity(id, 'get')];
  });
  hub.test('signals and calls of an orchestration keep their order', async () => {
    assert.deepEqual(await hub.result('signal', { key: 'mixed', n: 20 }), [20, 21]);
  });

  hub.orchestration('side by side', async function* (ctx, keys) {
    return yield whenAll(keys.map((key) => ctx.entities.callEntity(new EntityInstanceId('Counter', key), 'add', 1)));
  });
  hub.test('calls side by side, to one and to several', async () => {
    assert.deepEqual(await hub.result('side by side', ['s1', 's2', 's1', 's3', 's1']), [1, 1, 2, 1, 3]);
  });

  hub.orchestration('signal and end', async (ctx, key) => {
    ctx.entities.signalEntity(new EntityInstanceId('Counter', key), 'add', 3);
  });
  hub.test('a signal beside the end is sent', async () => {
    await hub.result('signal and end', 'beside');
    assert.deepEqual(await call('Counter', 'beside', ['get']), [3]);
  });

  hub.test('many orchestrations call one', async () => {
    const calls = Array.from({ length: 20 }, () => call('Counter', 'shared', ['add', 1]));
    const results = (await Promise.all(calls)).flat();
    assert.deepEqual(results.toSorted((a, b) => a - b), Array.from({ length: 20 }, (_, i) => i + 1));
  });

  hub.test('signals in a hurry, each counts once', async () => {
    await Promise.all(Array.from({ length: 50 }, () => signal('Counter', 'hurry', 'add', 5)));
    assert.deepEqual(await call('Counter', 'hurry', ['get']), [250]);
  });

  hub.test('lines of one writer stay in order', async () => {
    for (let i = 0; i < 20; i++) await signal('Log', 'lines', 'write', i);
    assert.deepEqual(await call('Log', 'lines', ['read']), [Array.from({ length: 20 }, (_, i) => i)]);
  });

  hub.test('deleted, it is not there; signalled again, it is new', async () => {
    await signal('Counter', 'deleted', 'add', 100);
    await signal('Counter', 'deleted', 'delete');
    await call('Counter', 'elsewhere', ['get']);
    await until('it is gone', async () => (await get('Counter', 'deleted')) === undefined);
    await signal('Counter', 'deleted', 'add', 50);
    assert.deepEqual(await call('Counter', 'deleted', ['get']), [50]);
  });

  hub.test('one entity signals another', async () => {
    await signal('Coordinator', 'c', 'forward', { to: 'forwarded', amounts: [40, 1, 1] });
    await until('they arrive', async () => (await get('Counter', 'forwarded'))?.state.count === 42);
  });

  hub.orchestration('told', async (_, value) => value);
  hub.test('an entity starts orchestrations', async () => {
    const [id, fresh] = await call('Coordinator', 'c', ['begin', { name: 'told', input: 1, instanceId: 'begun' }], ['begin', { name: 'told', input: 2 }]);
    assert.equal(id, 'begun');
    assert.equal(output(await hub.ended('begun')), 1);
    assert.equal(output(await hub.ended(fresh)), 2);
    const at = Date.now() + 500;
    await signal('Coordinator', 'c', 'begin', { name: 'told', input: 3, instanceId: 'begun later', startAt: at });
    assert.ok((await hub.ended('begun later')).lastUpdatedAt.getTime() >= at);
    // An id that is taken: dropped.
    await call('Coordinator', 'c', ['begin', { name: 'told', input: 4, instanceId: 'begun' }]);
    assert.equal(output(await hub.client.getOrchestrationState('begun')), 1);
  });

  hub.test('a signal of a client for later', async () => {
    const at = new Date(Date.now() + 1500);
    await signal('Counter', 'later', 'add', 1, { signalTime: at });
    assert.equal(await get('Counter', 'later'), undefined);
    const metadata = await until('it came', () => get('Counter', 'later'));
    assert.equal(metadata.state.count, 1);
    assert.ok(metadata.lastModifiedTime >= at);
  });

  hub.orchestration('signal later', async function* (ctx, { key, ms }) {
    const at = new Date(ctx.currentUtcDateTime.getTime() + ms);
    ctx.entities.signalEntity(new EntityInstanceId('Counter', key), 'add', 1, { signalTime: at });
    const before = yield ctx.entities.callEntity(new EntityInstanceId('Counter', key), 'get');
    return { before, at: at.getTime() };
  });
  hub.test('a signal of an orchestration for later lets others pass', async () => {
    const { before, at } = await hub.result('signal later', { key: 'later 2', ms: 1500 });
    assert.equal(before, 0);
    const metadata = await until('it came', async () => {
      const metadata = await get('Counter', 'later 2');
      return metadata.state.count === 1 && metadata;
    });
    assert.ok(metadata.lastModifiedTime.getTime() >= at);
  });

  hub.test('a signal of an entity for later', async () => {
    const at = Date.now() + 500;
    await signal('Coordinator', 'c', 'later', { to: 'later 3', amount: 9, at });
    const metadata = await until('it came', () => get('Counter', 'later 3'));
    assert.equal(metadata.state.count, 9);
    assert.ok(metadata.lastModifiedTime.getTime() >= at);
  });

  hub.test('an id of more than 100 characters is refused', async () => {
    await assert.rejects(signal('Counter', 'k'.repeat(92), 'add', 1), code('INVALID_ARGUMENT', /length/));
    assert.deepEqual(await call('Counter', 'k'.repeat(91), ['add', 1]), [1]);
  });

  hub.test('an entity is no orchestration', async () => {
    await call('Counter', 'not listed', ['add', 1]);
    for await (const state of hub.client.getAllInstances()) assert.ok(!state.instanceId.startsWith('@'), state.instanceId);
  });

  hub.test('a large state', async () => {
    const value = 'x'.repeat(1 << 20);
    const id = await hub.start('call', { name: 'Bare', key: 'large', calls: [['set', value]] });
    assert.equal(status(await hub.ended(id)), 'COMPLETED');
    assert.ok((await get('Bare', 'large')).state === value);
  });
});
