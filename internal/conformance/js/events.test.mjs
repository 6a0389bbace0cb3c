// External events, and those that orchestrations send each other.

import assert from 'node:assert/strict';
import { Hub, sdk, output, code } from './hub.mjs';

Hub.suite(import.meta.url, (hub) => {
  hub.activity('nothing', () => {});

  hub.orchestration('wait', async function* (ctx, names) {
    const got = [];
    for (const name of names) got.push(yield ctx.waitForExternalEvent(name));
    return got;
  });
  const raise = (id, name, data) => hub.client.raiseOrchestrationEvent(id, name, data);

  hub.test('events are there in the order that they are waited for', async () => {
    const id = await hub.start('wait', ['A', 'B', 'C']);
    for (const name of ['A', 'B', 'C']) await raise(id, name, name.toLowerCase());
    assert.deepEqual(output(await hub.ended(id)), ['a', 'b', 'c']);
  });

  hub.test('events that come early wait, each name in order', async () => {
    const id = await hub.start('wait', ['B', 'A', 'A', 'B']);
    await raise(id, 'A', 1);
    await raise(id, 'B', 2);
    await raise(id, 'A', 3);
    await raise(id, 'B', 4);
    assert.deepEqual(output(await hub.ended(id)), [2, 1, 3, 4]);
  });

  hub.test('events before the start are kept', async () => {
    const id = await hub.start('wait', ['A', 'B'], { startAt: new Date(Date.now() + 500) });
    await raise(id, 'A', 1);
    await raise(id, 'B', 2);
    assert.deepEqual(output(await hub.ended(id)), [1, 2]);
  });

  hub.test('names are compared without their case, and kept with it', async () => {
    const id = await hub.start('wait', ['Approval']);
    await hub.started(id);
    await raise(id, 'aPPROVAL', 'yes');
    assert.deepEqual(output(await hub.ended(id)), ['yes']);
    const raised = (await hub.history(id)).find((event) => event.type === sdk.HistoryEventType.EventRaised);
    assert.equal(raised.name, 'aPPROVAL');
    assert.equal(raised.input, '"yes"');
    assert.equal(raised.eventId, -1);
  });

  hub.test('an event without data', async () => {
    const id = await hub.start('wait', ['A']);
    await raise(id, 'A');
    assert.deepEqual(output(await hub.ended(id)), [null]);
  });

  hub.test('a hundred events from one sender keep their order', async () => {
    const id = await hub.start('wait', Array(100).fill('n'));
    for (let i = 0; i < 100; i++) await raise(id, 'n', i);
    assert.deepEqual(output(await hub.ended(id)), Array.from({ length: 100 }, (_, i) => i));
  });

  hub.test('an event for nobody is an error', async () => {
    await assert.rejects(raise('nobody', 'A', 1), code('NOT_FOUND', /nobody/));
  });

  hub.test('an event for one that has ended is dropped', async () => {
    const id = await hub.start('wait', []);
    await hub.ended(id);
    const before = (await hub.history(id)).length;
    await raise(id, 'A', 1);
    assert.equal((await hub.history(id)).length, before);
    assert.deepEqual(output(await hub.client.getOrchestrationState(id)), []);
  });

  hub.orchestration('send', async function* (ctx, { to, name, data }) {
    ctx.sendEvent(to, name, data);
    yield ctx.callActivity('nothing');
    return 'sent';
  });
  hub.test('one orchestration sends another an event', async () => {
    const to = await hub.start('wait', ['greeting']);
    await hub.started(to);
    const from = await hub.start('send', { to, name: 'greeting', data: { text: 'hello' } });
    assert.equal(output(await hub.ended(from)), 'sent');
    assert.deepEqual(output(await hub.ended(to)), [{ text: 'hello' }]);
    const sent = (await hub.history(from)).find((event) => event.type === sdk.HistoryEventType.EventSent);
    assert.deepEqual([sent.instanceId, sent.name, sent.input], [to, 'greeting', '{"text":"hello"}']);
    const raised = (await hub.history(to)).find((event) => event.type === sdk.HistoryEventType.EventRaised);
    assert.deepEqual([raised.name, raised.input], ['greeting', '{"text":"hello"}']);
  });

  hub.test('one without data', async () => {
    const to = await hub.start('wait', ['signal']);
    assert.equal(await hub.result('send', { to, name: 'SIGNAL' }), 'sent');
    assert.deepEqual(output(await hub.ended(to)), [null]);
  });

  hub.orchestration('send and end', async (ctx, { to, n }) => {
    for (let i = 0; i < n; i++) ctx.sendEvent(to, 'n', i);
    return 'sent';
  });
  hub.test('what is sent beside the end is sent, in order', async () => {
    const to = await hub.start('wait', ['n', 'n', 'n']);
    await hub.result('send and end', { to, n: 3 });
    assert.deepEqual(output(await hub.ended(to)), [0, 1, 2]);
  });

  hub.test('one for nobody is dropped', async () => {
    assert.equal(await hub.result('send', { to: 'nobody', name: 'A' }), 'sent');
  });

  hub.orchestration('to myself', async function* (ctx) {
    ctx.sendEvent(ctx.instanceId, 'echo', 'me');
    return yield ctx.waitForExternalEvent('echo');
  });
  hub.test('one for the sender', async () => {
    assert.equal(await hub.result('to myself'), 'me');
  });
});
