// Orchestrations that go on with an empty history.

import assert from 'node:assert/strict';
import { Hub, sdk, output, status, until } from './hub.mjs';

const { HistoryEventType, whenAny } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.activity('echo', (_, value) => value);
  const execution = async (id) => (await hub.raw(id)).getExecutionid().getValue();

  hub.orchestration('count', async (ctx, n) => {
    if (n < 10) ctx.continueAsNew(n + 1, true);
    else return n;
  });
  hub.test('ten executions, one instance', async () => {
    const state = await hub.run('count', 1);
    assert.equal(output(state), 10);
    assert.equal(state.serializedInput, '10');
  });

  hub.orchestration('zero', async (ctx, n) => {
    if (n > 0) ctx.continueAsNew(0, false);
    else return { n };
  });
  hub.test('with an input of zero', async () => {
    assert.deepEqual(await hub.result('zero', 1), { n: 0 });
  });

  hub.orchestration('without input', async (ctx, n) => {
    if (n === 1) ctx.continueAsNew();
    else return n === undefined ? 'none' : 'some';
  });
  hub.test('without an input', async () => {
    assert.equal(await hub.result('without input', 1), 'none');
  });

  hub.orchestration('collect', async function* (ctx, { got, n }) {
    // Events that came before "go" wait in the worker, and go from execution to execution.
    if (got === undefined) yield ctx.waitForExternalEvent('go');
    else got.push(yield ctx.waitForExternalEvent('item'));
    if (got?.length === n) return got;
    ctx.continueAsNew({ got: got ?? [], n }, true);
  });
  hub.test('events that it has not taken are carried on, and none is lost on the way', async () => {
    const id = await hub.start('collect', { n: 9 });
    const raise = (from, to) => Promise.all(Array.from({ length: to - from }, (_, i) => hub.client.raiseOrchestrationEvent(id, 'Item', from + i)));
    await raise(0, 6);
    await hub.client.raiseOrchestrationEvent(id, 'go');
    await raise(6, 9);
    const got = output(await hub.ended(id));
    assert.deepEqual(got.slice(0, 6).toSorted(), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(got.slice(6).toSorted(), [6, 7, 8]);
  });

  hub.orchestration('forget', async function* (ctx, first) {
    if (first) {
      yield ctx.waitForExternalEvent('go');
      ctx.continueAsNew(false, false);
      return;
    }
    const old = ctx.waitForExternalEvent('old');
    const fresh = ctx.waitForExternalEvent('fresh');
    return (yield whenAny([old, fresh])) === fresh ? 'fresh' : 'old';
  });
  hub.test('or not, if it says so', async () => {
    const id = await hub.start('forget', true);
    const first = await execution(id);
    await hub.client.raiseOrchestrationEvent(id, 'old');
    await hub.client.raiseOrchestrationEvent(id, 'go');
    await until('it goes on', async () => (await execution(id)) !== first);
    await hub.client.raiseOrchestrationEvent(id, 'fresh');
    assert.equal(output(await hub.ended(id)), 'fresh');
  });

  hub.orchestration('generations', async function* (ctx, seen) {
    seen.push(yield ctx.callSubOrchestrator('name'));
    yield ctx.callActivity('echo', 1);
    if (seen.length < 3) ctx.continueAsNew(seen);
    else return seen;
  });
  hub.orchestration('name', async (ctx) => ctx.instanceId);
  hub.test('children of each execution have ids of their own', async () => {
    const ids = await hub.result('generations', []);
    assert.equal(new Set(ids).size, 3);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}:0001$/);
  });

  hub.orchestration('leave a timer', async function* (ctx, first) {
    if (first) {
      ctx.createTimer(0.2);
      yield ctx.callActivity('echo', 1);
      ctx.continueAsNew(false);
      return;
    }
    // The old timer had number 1 too.
    const event = ctx.waitForExternalEvent('never');
    const timer = ctx.createTimer(0.6);
    const from = ctx.currentUtcDateTime;
    const fired = yield whenAny([event, timer]);
    return { mine: fired === timer, ms: ctx.currentUtcDateTime - from };
  });
  hub.test('what the old execution waited for does not reach the new one', async () => {
    const { mine, ms } = await hub.result('leave a timer', true);
    assert.ok(mine && ms >= 600, `${mine} ${ms}`);
  });

  hub.orchestration('tagged', async (ctx, n) => {
    if (n > 0) ctx.continueAsNew(n - 1);
    else return ctx.version;
  });
  hub.test('tags and version stay', async () => {
    const id = await hub.start('tagged', 3, { tags: { a: 'b' }, version: '1.2' });
    const state = await hub.ended(id);
    assert.equal(output(state), '1.2');
    assert.deepEqual(state.tags, { a: 'b' });
    assert.equal((await hub.raw(id)).getVersion().getValue(), '1.2');
  });

  hub.orchestration('tell', async function* (ctx, n) {
    ctx.sendEvent('listener', 'told', n);
    if (n > 0) ctx.continueAsNew(n - 1);
  });
  hub.orchestration('listen', async function* (ctx) {
    const heard = [];
    for (let i = 0; i < 3; i++) heard.push(yield ctx.waitForExternalEvent('told'));
    return heard;
  });
  hub.test('what is sent beside it is sent', async () => {
    const id = await hub.start('listen', null, 'listener');
    await hub.result('tell', 2);
    assert.deepEqual(output(await hub.ended(id)), [2, 1, 0]);
  });

  hub.orchestration('rounds', async function* (ctx, n) {
    yield ctx.waitForExternalEvent('next');
    if (n > 0) ctx.continueAsNew(n - 1, true);
    else return 'over';
  });
  hub.test('its status stays that it runs, its history is new, and it may be terminated', async () => {
    const id = await hub.start('rounds', 5);
    await hub.started(id);
    const first = await execution(id);
    await hub.client.raiseOrchestrationEvent(id, 'next');
    await until('it goes on', async () => (await execution(id)) !== first);
    assert.ok(['RUNNING', 'PENDING'].includes(status(await hub.client.getOrchestrationState(id))));
    const started = (await hub.history(id)).filter((event) => event.type === HistoryEventType.ExecutionStarted);
    assert.ok(started.length <= 1);
    await hub.client.terminateOrchestration(id, 'enough');
    assert.equal(status(await hub.ended(id)), 'TERMINATED');
  });

  hub.test('the history of the last execution is all there is', async () => {
    const id = await hub.start('count', 1);
    await hub.ended(id);
    assert.deepEqual((await hub.history(id)).map((event) => event.type), [
      HistoryEventType.OrchestratorStarted, HistoryEventType.ExecutionStarted, HistoryEventType.ExecutionCompleted,
    ]);
  });
});
