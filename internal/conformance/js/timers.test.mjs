// Timers.

import assert from 'node:assert/strict';
import { Hub, sdk, output, status } from './hub.mjs';

const { whenAll, whenAny, HistoryEventType } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.activity('nothing', () => {});

  hub.orchestration('sleep', async function* (ctx, seconds) {
    const from = ctx.currentUtcDateTime.getTime();
    yield ctx.createTimer(seconds);
    return ctx.currentUtcDateTime.getTime() - from;
  });
  hub.test('a timer fires at its time, not before', async () => {
    const state = await hub.run('sleep', 1);
    assert.ok(output(state) >= 1000, `${output(state)} ms`);
    assert.ok(state.lastUpdatedAt - state.createdAt >= 1000);
  });

  hub.orchestration('until', async function* (ctx, at) {
    yield ctx.createTimer(new Date(at));
    return ctx.currentUtcDateTime.getTime();
  });
  hub.test('a timer for a moment, to the millisecond', async () => {
    const at = Date.now() + 321;
    const id = await hub.start('until', at);
    assert.ok(output(await hub.ended(id)) >= at);
    const [created, fired] = (await hub.history(id)).filter((event) => event.fireAt);
    assert.equal(created.type, HistoryEventType.TimerCreated);
    assert.equal(fired.type, HistoryEventType.TimerFired);
    assert.equal(created.fireAt.getTime(), at);
    assert.equal(fired.fireAt.getTime(), at);
    assert.equal(fired.timerId, created.eventId);
  });

  hub.test('a timer for the past fires at once', async () => {
    await hub.result('until', 0);
    await hub.result('until', Date.now() - 24 * 60 * 60 * 1000);
    await hub.result('sleep', 0);
  });

  hub.orchestration('several', async function* (ctx) {
    const order = [];
    const timers = [0.3, 0.1, 0.2].map((seconds) => ctx.createTimer(seconds));
    const left = new Set(timers);
    while (left.size > 0) {
      const first = yield whenAny([...left]);
      order.push(timers.indexOf(first));
      left.delete(first);
    }
    return order;
  });
  hub.test('several fire in the order of their times', async () => {
    assert.deepEqual(await hub.result('several'), [1, 2, 0]);
  });

  hub.orchestration('all', async function* (ctx, n) {
    yield whenAll(Array.from({ length: n }, () => ctx.createTimer(0.1)));
    return 'all';
  });
  hub.test('fifty at one time', async () => {
    assert.equal(await hub.result('all', 50), 'all');
  });

  hub.orchestration('timeout', async function* (ctx, seconds) {
    const event = ctx.waitForExternalEvent('go');
    const timer = ctx.createTimer(seconds);
    const first = yield whenAny([event, timer]);
    if (first === timer) return 'late';
    timer.cancel();
    return event.getResult();
  });
  hub.test('an event before its deadline', async () => {
    const id = await hub.start('timeout', 3600);
    await hub.started(id);
    await hub.client.raiseOrchestrationEvent(id, 'go', 'in time');
    assert.equal(output(await hub.ended(id)), 'in time');
  });
  hub.test('a deadline before its event', async () => {
    assert.equal(await hub.result('timeout', 0.1), 'late');
  });

  hub.orchestration('cancel at once', async function* (ctx) {
    const timer = ctx.createTimer(3600);
    yield ctx.callActivity('nothing');
    timer.cancel();
    yield ctx.callActivity('nothing');
    return timer.isCanceled;
  });
  hub.test('a timer that was given up does not hold the end', async () => {
    assert.equal(await hub.result('cancel at once'), true);
  });

  hub.orchestration('for years', async function* (ctx) {
    yield ctx.createTimer(10 * 365 * 24 * 3600);
  });
  hub.test('a timer may be years away', async () => {
    const id = await hub.start('for years');
    assert.equal(status(await hub.started(id)), 'RUNNING');
    await hub.client.terminateOrchestration(id, 'too long');
    assert.equal(status(await hub.ended(id)), 'TERMINATED');
  });
});
