// Orchestrations and their activities.

import assert from 'node:assert/strict';
import { Hub, sdk, status, output, failure, pb, text, until } from './hub.mjs';

const { whenAll, whenAny } = sdk;

Hub.suite(import.meta.url, (hub) => {
  const ran = new Map();
  const count = (key) => ran.set(key, (ran.get(key) ?? 0) + 1);

  hub.activity('add one', (_, n) => n + 1);
  hub.activity('count', (_, key) => count(key));
  hub.activity('fail', async (_, message) => {
    throw new Error(message);
  });
  hub.activity('who', (ctx) => ({ instance: ctx.orchestrationId, task: ctx.taskId }));

  hub.orchestration('nothing', async () => {});
  hub.test('one that does nothing completes, without a result', async () => {
    const id = await hub.start('nothing');
    const state = await hub.ended(id);
    assert.equal(output(state), undefined);
    assert.equal(state.instanceId, id);
    assert.equal(state.name, 'nothing');
    assert.equal(state.failureDetails, undefined);
    assert.ok(state.createdAt <= state.lastUpdatedAt);
  });

  hub.orchestration('increment', async (_, n) => n + 1);
  hub.test('one without activities gives its result, and its state has the input', async () => {
    const state = await hub.run('increment', 15);
    assert.equal(output(state), 16);
    assert.equal(state.serializedInput, '15');
    assert.equal(state.serializedOutput, '16');
  });

  hub.test('its state is given without payloads to who asks without', async () => {
    const id = await hub.start('increment', 15);
    await hub.ended(id);
    const state = await hub.client.getOrchestrationState(id, false);
    assert.equal(status(state), 'COMPLETED');
    assert.equal(state.serializedInput, undefined);
    assert.equal(state.serializedOutput, undefined);
  });

  hub.test('an id that nobody has used has no state', async () => {
    assert.equal(await hub.client.getOrchestrationState('nobody'), undefined);
  });

  hub.test('a start without an id gets one from the server', async () => {
    const request = new pb.CreateInstanceRequest();
    request.setName('increment');
    request.setInput(text('1'));
    const id = (await hub.rpc('startInstance', request)).getInstanceid();
    assert.match(id, /^[0-9a-f]{32}$/);
    assert.equal(output(await hub.ended(id)), 2);
  });

  hub.test('each execution has an id, which its state has', async () => {
    const id = await hub.start('increment', 1);
    await hub.ended(id);
    assert.match((await hub.raw(id)).getExecutionid().getValue(), /^[0-9a-f]{32}$/);
  });

  hub.orchestration('chain', async function* (ctx, n) {
    const numbers = [n];
    for (let i = 0; i < 10; i++) {
      n = yield ctx.callActivity('add one', n);
      numbers.push(n);
    }
    return numbers;
  });
  hub.test('ten activities one after the other', async () => {
    assert.deepEqual(await hub.result('chain', 1), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  hub.orchestration('fan out', async function* (ctx, { n, key }) {
    const calls = [];
    for (let i = 0; i < n; i++) calls.push(ctx.callActivity('count', key), ctx.callActivity('add one', i));
    const results = yield whenAll(calls);
    return results.filter((_, i) => i % 2 === 1);
  });
  hub.test('activities side by side, each ran once, results in order', async () => {
    const n = 40;
    assert.deepEqual(await hub.result('fan out', { n, key: 'fan out' }), Array.from({ length: n }, (_, i) => i + 1));
    assert.equal(ran.get('fan out'), n);
  });

  hub.orchestration('all of nothing', async function* () {
    return yield whenAll([]);
  });
  hub.test('all of no tasks is there at once', async () => {
    assert.deepEqual(await hub.result('all of nothing'), []);
  });

  hub.activity('slow', async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    count('slow');
  });
  hub.orchestration('survive the first', async function* (ctx) {
    try {
      yield whenAll([ctx.callActivity('fail', 'first'), ctx.callActivity('slow'), ctx.callActivity('slow')]);
    } catch {
      return 'caught';
    }
  });
  hub.test('results that come after the end change nothing', async () => {
    const id = await hub.start('survive the first');
    assert.equal(output(await hub.ended(id)), 'caught');
    await until('the others ran', () => ran.get('slow') === 2);
    // Their results are on their way, and the next ones behind them.
    await hub.result('chain', 1);
    assert.equal(output(await hub.client.getOrchestrationState(id)), 'caught');
  });

  hub.orchestration('die of the first', async function* (ctx) {
    yield whenAll([ctx.callActivity('fail', 'it was me'), ctx.callActivity('add one', 1)]);
  });
  hub.test('one of several that fails is the failure of all', async () => {
    const details = failure(await hub.run('die of the first'));
    assert.match(details.message, /it was me/);
  });

  hub.orchestration('die of the last', async function* (ctx) {
    const quick = ctx.callActivity('add one', 1);
    yield quick;
    yield whenAll([quick, ctx.callActivity('add one', 2), ctx.callActivity('fail', 'at last')]);
  });
  hub.test('the last of several that fails is the failure of all', async () => {
    assert.match(failure(await hub.run('die of the last')).message, /at last/);
  });

  hub.orchestration('race', async function* (ctx) {
    const never = ctx.waitForExternalEvent('never');
    const call = ctx.callActivity('add one', 41);
    const first = yield whenAny([never, call]);
    return { call: first === call, result: first.getResult() };
  });
  hub.test('the first of two tasks', async () => {
    assert.deepEqual(await hub.result('race'), { call: true, result: 42 });
  });

  hub.orchestration('ask who', async function* (ctx) {
    return yield whenAll([ctx.callActivity('who'), ctx.callActivity('who')]);
  });
  hub.test('an activity knows its instance and its number', async () => {
    const id = await hub.start('ask who');
    assert.deepEqual(output(await hub.ended(id)), [{ instance: id, task: 1 }, { instance: id, task: 2 }]);
  });

  hub.orchestration('guids', async function* (ctx) {
    const before = [ctx.newGuid(), ctx.newGuid()];
    yield ctx.callActivity('add one', 1);
    const after = [ctx.newGuid(), ctx.newGuid()];
    yield ctx.callActivity('count', JSON.stringify([ctx.instanceId, before, after]));
    yield ctx.callActivity('count', JSON.stringify([ctx.instanceId, before, after]));
    return [...before, ...after];
  });
  hub.test('random ids are the same in every replay', async () => {
    const id = await hub.start('guids');
    const guids = output(await hub.ended(id));
    assert.equal(new Set(guids).size, 4);
    for (const guid of guids) assert.match(guid, /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const seen = [...ran].filter(([key]) => key.includes(id));
    assert.deepEqual(seen, [[JSON.stringify([id, guids.slice(0, 2), guids.slice(2)]), 2]]);
  });

  hub.orchestration('clock', async function* (ctx) {
    const times = [];
    for (let i = 0; i < 4; i++) {
      times.push(ctx.currentUtcDateTime.getTime());
      yield ctx.callActivity('add one', i);
    }
    return times;
  });
  hub.test('its clock is the time of each turn, and never goes back', async () => {
    const from = Date.now();
    const times = await hub.result('clock');
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    assert.ok(times[0] >= from - 1 && times[3] <= Date.now(), `${from} ${times} ${Date.now()}`);
  });

  const lines = [];
  const logger = Object.fromEntries(['error', 'warn', 'info', 'debug'].map((level) => [level, (line) => lines.push(line)]));
  hub.orchestration('log', async function* (ctx, key) {
    const log = ctx.createReplaySafeLogger(logger);
    log.info(`${key} before`);
    yield ctx.callActivity('add one', 1);
    log.info(`${key} between`);
    yield ctx.callActivity('add one', 2);
    log.info(`${key} after`);
  });
  hub.test('a log that knows replay has each line once', async () => {
    await hub.result('log', 'once');
    assert.deepEqual(lines, ['once before', 'once between', 'once after']);
  });

  hub.orchestration('tell status', async function* (ctx) {
    ctx.setCustomStatus({ step: 'waiting' });
    yield ctx.waitForExternalEvent('go');
    ctx.setCustomStatus('');
    yield ctx.callActivity('add one', 1);
    return 'done';
  });
  hub.test('a status of its own is there while it waits, and may become empty', async () => {
    const id = await hub.start('tell status');
    await hub.started(id);
    const state = await hub.client.getOrchestrationState(id);
    assert.equal(state.serializedCustomStatus, '{"step":"waiting"}');
    assert.equal(status(state), 'RUNNING');
    await hub.client.raiseOrchestrationEvent(id, 'go');
    assert.equal((await hub.ended(id)).serializedCustomStatus, '""');
  });

  hub.orchestration('keep status', async function* (ctx) {
    ctx.setCustomStatus('kept');
    yield ctx.callActivity('add one', 1);
    ctx.setCustomStatus(null);
    yield ctx.callActivity('add one', 1);
  });
  hub.test('a turn that says nothing of its status keeps it', async () => {
    assert.equal((await hub.run('keep status')).serializedCustomStatus, '"kept"');
  });

  hub.test('tags stay with an instance', async () => {
    const tags = { env: 'test', 'ключ': 'значение', empty: '' };
    assert.deepEqual((await hub.run('increment', 1, { tags })).tags, tags);
  });

  hub.orchestration('tagged call', async function* (ctx) {
    return yield ctx.callActivity('add one', 1, { tags: { cost: 'high' } });
  });
  hub.test('tags of a call are in its event', async () => {
    const id = await hub.start('tagged call');
    await hub.ended(id);
    const scheduled = (await hub.history(id)).find((event) => event.type === sdk.HistoryEventType.TaskScheduled);
    assert.deepEqual(scheduled.tags, { cost: 'high' });
  });

  hub.test('many instances at once', async () => {
    const inputs = Array.from({ length: 100 }, (_, i) => i);
    assert.deepEqual(await Promise.all(inputs.map((n) => hub.result('increment', n))), inputs.map((n) => n + 1));
  });
});
