// Terminate, suspend and resume.

import assert from 'node:assert/strict';
import { Hub, Status, sdk, output, status, code } from './hub.mjs';

const { terminateOptions, HistoryEventType } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.activity('echo', (_, value) => value);
  hub.orchestration('wait', async function* (ctx) {
    return yield ctx.waitForExternalEvent('go');
  });
  hub.orchestration('nothing', async () => 'done');

  const waiting = async (id) => {
    await hub.start('wait', null, id);
    assert.equal(status(await hub.started(id)), 'RUNNING');
    return id;
  };
  const terminate = (id, output) => hub.client.terminateOrchestration(id, output);

  for (const [what, argument, wanted] of [
    ['a reason', 'because', 'because'],
    ['options', terminateOptions({ output: 'from options' }), 'from options'],
    ['an object', terminateOptions({ output: { why: 'test', list: [1, 2] } }), { why: 'test', list: [1, 2] }],
    ['nothing', undefined, null],
  ]) {
    hub.test(`terminate with ${what}`, async () => {
      const id = await waiting(`terminated with ${what}`);
      await terminate(id, argument);
      const state = await hub.ended(id);
      assert.equal(status(state), 'TERMINATED');
      assert.equal(state.serializedOutput, JSON.stringify(wanted));
      const history = await hub.history(id);
      assert.equal(history.at(-2).type, HistoryEventType.ExecutionTerminated);
      assert.equal(history.at(-1).orchestrationStatus, 'ORCHESTRATION_STATUS_TERMINATED');
    });
  }

  hub.test('terminate one that waits for its start time', async () => {
    const id = await hub.start('wait', null, { startAt: new Date(Date.now() + 3600_000) });
    await terminate(id, 'not any more');
    const state = await hub.ended(id);
    assert.equal(status(state), 'TERMINATED');
    assert.equal(state.serializedOutput, '"not any more"');
  });

  hub.test('terminate one that is suspended', async () => {
    const id = await waiting('suspended and terminated');
    await hub.client.suspendOrchestration(id);
    await hub.settled(id, Status.SUSPENDED);
    await terminate(id, 'out');
    assert.equal(status(await hub.ended(id)), 'TERMINATED');
  });

  hub.orchestration('parent', async function* (ctx, { depth, name }) {
    const options = { instanceId: `${name}/${depth}` };
    return yield depth === 0
      ? ctx.callSubOrchestrator('wait', null, options)
      : ctx.callSubOrchestrator('parent', { depth: depth - 1, name }, options);
  });
  hub.test('terminate with all below', async () => {
    const id = await hub.start('parent', { depth: 2, name: 'all' });
    await hub.settled('all/0', Status.RUNNING);
    await terminate(id, terminateOptions({ output: 'all of you', recursive: true }));
    const state = await hub.ended(id);
    assert.equal(status(state), 'TERMINATED');
    assert.equal(state.serializedOutput, '"all of you"');
    for (const child of ['all/2', 'all/1', 'all/0']) assert.equal(status(await hub.ended(child)), 'TERMINATED', child);
  });

  hub.test('terminate one alone: what is below goes on', async () => {
    const id = await hub.start('parent', { depth: 1, name: 'alone' });
    await hub.settled('alone/0', Status.RUNNING);
    await terminate(id, terminateOptions({ output: 'me', recursive: false }));
    assert.equal(status(await hub.ended(id)), 'TERMINATED');
    await hub.client.raiseOrchestrationEvent('alone/0', 'go', 'on');
    assert.equal(output(await hub.ended('alone/0')), 'on');
    assert.equal(output(await hub.ended('alone/1')), 'on');
    assert.equal(status(await hub.client.getOrchestrationState(id)), 'TERMINATED');
  });

  hub.orchestration('suspended work', async function* (ctx) {
    ctx.setCustomStatus('waiting');
    const first = yield ctx.waitForExternalEvent('a');
    const second = yield ctx.callActivity('echo', first);
    const third = yield ctx.waitForExternalEvent('b');
    return [first, second, third];
  });
  hub.test('suspended, it keeps what comes; resumed, it takes it in order', async () => {
    const id = await hub.start('suspended work');
    await hub.started(id);
    await hub.client.suspendOrchestration(id);
    await hub.settled(id, Status.SUSPENDED);
    await hub.client.raiseOrchestrationEvent(id, 'a', 1);
    await hub.client.raiseOrchestrationEvent(id, 'b', 2);
    await hub.run('nothing');
    const state = await hub.client.getOrchestrationState(id);
    assert.equal(status(state), 'SUSPENDED');
    assert.equal(state.serializedCustomStatus, '"waiting"');
    await hub.client.resumeOrchestration(id);
    assert.deepEqual(output(await hub.ended(id)), [1, 1, 2]);
    const types = (await hub.history(id)).map((event) => event.type);
    assert.ok(types.indexOf(HistoryEventType.ExecutionSuspended) < types.indexOf(HistoryEventType.ExecutionResumed));
  });

  hub.test('resumed, its status is that it runs', async () => {
    const id = await waiting('resumed');
    await hub.client.suspendOrchestration(id);
    await hub.settled(id, Status.SUSPENDED);
    await hub.client.resumeOrchestration(id);
    await hub.settled(id, Status.RUNNING);
    await hub.client.raiseOrchestrationEvent(id, 'go', 'end');
    assert.equal(output(await hub.ended(id)), 'end');
  });

  hub.orchestration('sleep', async function* (ctx) {
    yield ctx.createTimer(1);
    return 'awake';
  });
  hub.test('a timer that fires meanwhile counts when it is resumed', async () => {
    const id = await hub.start('sleep');
    await hub.client.suspendOrchestration(id);
    await hub.settled(id, Status.SUSPENDED);
    await hub.result('sleep');
    await hub.client.resumeOrchestration(id);
    assert.equal(output(await hub.ended(id)), 'awake');
  });

  const verbs = {
    terminate: (id) => terminate(id, 'x'),
    suspend: (id) => hub.client.suspendOrchestration(id),
    resume: (id) => hub.client.resumeOrchestration(id),
  };
  for (const [verb, act] of Object.entries(verbs)) {
    hub.test(`${verb} one that is not there`, async () => {
      await assert.rejects(act('nobody'), code('NOT_FOUND', /nobody/));
    });
    hub.test(`${verb} one that has ended changes nothing`, async () => {
      const id = `ended before ${verb}`;
      await hub.run('nothing', null, id);
      const before = (await hub.history(id)).length;
      await act(id);
      assert.equal(output(await hub.client.getOrchestrationState(id)), 'done');
      assert.equal((await hub.history(id)).length, before);
    });
  }
});
