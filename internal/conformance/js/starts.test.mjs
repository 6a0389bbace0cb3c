// How instances start: ids, their reuse, start times, versions.

import assert from 'node:assert/strict';
import { Hub, pb, text, sdk, output, status, code, ProtoStatus } from './hub.mjs';

Hub.suite(import.meta.url, (hub) => {
  hub.orchestration('work', async function* (ctx, { value, wait }) {
    if (wait) yield ctx.waitForExternalEvent('finish');
    return value;
  });

  // start starts with an id-reuse policy: the statuses whose instances may be replaced.
  const start = (id, input, replaceable) => {
    const request = new pb.CreateInstanceRequest();
    request.setInstanceid(id);
    request.setName('work');
    request.setInput(text(JSON.stringify(input)));
    if (replaceable !== undefined) {
      const policy = new pb.OrchestrationIdReusePolicy();
      policy.setReplaceablestatusList(replaceable.map((name) => ProtoStatus[`ORCHESTRATION_STATUS_${name}`]));
      request.setOrchestrationidreusepolicy(policy);
    }
    return hub.rpc('startInstance', request);
  };
  const finished = ['COMPLETED', 'FAILED', 'TERMINATED'];
  const live = ['RUNNING', 'PENDING', 'SUSPENDED'];

  hub.test('an id in use is refused', async () => {
    await hub.start('work', { value: 1, wait: true }, 'in use');
    await hub.started('in use');
    await assert.rejects(hub.start('work', { value: 2 }, 'in use'), code('ALREADY_EXISTS', /in use/));
    await assert.rejects(start('in use', { value: 2 }, []), code('ALREADY_EXISTS'));
    await assert.rejects(start('in use', { value: 2 }, finished), code('ALREADY_EXISTS'));
    const state = await hub.client.getOrchestrationState('in use');
    assert.equal(state.serializedInput, '{"value":1,"wait":true}');
    await hub.client.raiseOrchestrationEvent('in use', 'finish');
    assert.equal(output(await hub.ended('in use')), 1);
  });

  hub.test('an id of one that has ended is refused without a policy', async () => {
    await hub.run('work', { value: 1 }, 'ended');
    await assert.rejects(hub.start('work', { value: 2 }, 'ended'), code('ALREADY_EXISTS'));
  });

  hub.test('one that has ended is replaced where the policy says so', async () => {
    await hub.run('work', { value: 1 }, 'replaced at end');
    const first = (await hub.raw('replaced at end')).getExecutionid().getValue();
    await assert.rejects(start('replaced at end', { value: 2 }, ['FAILED']), code('ALREADY_EXISTS'));
    await start('replaced at end', { value: 2 }, ['COMPLETED']);
    assert.equal(output(await hub.ended('replaced at end')), 2);
    assert.notEqual((await hub.raw('replaced at end')).getExecutionid().getValue(), first);
  });

  hub.test('one that runs is replaced where the policy says so', async () => {
    await hub.start('work', { value: 1, wait: true }, 'replaced');
    await hub.started('replaced');
    const first = (await hub.raw('replaced')).getExecutionid().getValue();
    await start('replaced', { value: 2 }, [...finished, ...live]);
    const state = await hub.ended('replaced');
    assert.equal(output(state), 2);
    assert.equal(state.serializedInput, '{"value":2}');
    assert.notEqual((await hub.raw('replaced')).getExecutionid().getValue(), first);
    const started = (await hub.history('replaced')).filter((event) => event.type === sdk.HistoryEventType.ExecutionStarted);
    assert.equal(started.length, 1);
  });

  hub.test('a policy that replaces what runs, but not what was terminated, is refused', async () => {
    for (const status of live) {
      await assert.rejects(start('never', { value: 1 }, [status, 'COMPLETED', 'FAILED']),
        code('INVALID_ARGUMENT', /Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances/));
    }
    assert.equal(await hub.client.getOrchestrationState('never'), undefined);
  });

  hub.test('a start time in the future: pending until then', async () => {
    const at = new Date(Date.now() + 1500);
    const id = await hub.start('work', { value: 1 }, { startAt: at });
    assert.equal(status(await hub.client.getOrchestrationState(id)), 'PENDING');
    const state = await hub.ended(id);
    assert.equal(output(state), 1);
    assert.ok(state.lastUpdatedAt >= at, `${state.lastUpdatedAt.toISOString()} ${at.toISOString()}`);
    const [first, second] = await hub.history(id);
    assert.equal(first.type, sdk.HistoryEventType.OrchestratorStarted);
    assert.ok(first.timestamp >= at);
    assert.equal(second.scheduledStartTimestamp.getTime(), at.getTime());
  });

  hub.test('a start time in the past is now', async () => {
    assert.equal(await hub.result('work', { value: 1 }, { startAt: new Date(Date.now() - 3600_000) }), 1);
    assert.equal(await hub.result('work', { value: 1 }, { startAt: new Date(0) }), 1);
  });

  hub.test('without a start time there is none in its state', async () => {
    const id = await hub.start('work', { value: 1 });
    await hub.ended(id);
    const at = (await hub.raw(id)).getScheduledstarttimestamp();
    assert.ok(at === undefined || at.toDate().getTime() === 0);
  });

  hub.test('ids are compared byte by byte', async () => {
    for (const id of ['Case', 'case', 'ünïcödé/идентификатор', 'with spaces and "quotes"', "'; DROP TABLE instances; --", '%', '_']) {
      assert.equal(await hub.start('work', { value: id }, id), id);
      assert.equal(output(await hub.ended(id)), id);
    }
  });

  hub.test('a start without a name is refused', async () => {
    const request = new pb.CreateInstanceRequest();
    request.setInstanceid('nameless');
    await assert.rejects(hub.rpc('startInstance', request), code('INVALID_ARGUMENT'));
  });

  hub.test('ten starts of one id: one is taken', async () => {
    const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => hub.start('work', { value: i }, 'contended')));
    const taken = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []));
    assert.equal(taken.length, 1);
    for (const { reason } of results.filter(({ status }) => status === 'rejected')) code('ALREADY_EXISTS')(reason);
    assert.equal(output(await hub.ended('contended')), taken[0]);
  });
});
