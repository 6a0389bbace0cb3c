// The history of an instance, event by event.

import assert from 'node:assert/strict';
import { Hub, sdk, output, status, pb, text } from './hub.mjs';

const { HistoryEventType: Type, whenAll, EntityInstanceId, TaskEntity } = sdk;

class Counter extends TaskEntity {
  add(n) {
    return (this.state += n);
  }
  initializeState() {
    return 0;
  }
}

Hub.suite(import.meta.url, (hub) => {
  hub.activity('greet', (_, name) => `Hello, ${name}!`);
  hub.activity('add one', (_, n) => n + 1);
  hub.orchestration('child', async () => 'Child completed');

  hub.orchestration('twelve', async function* (ctx) {
    const greeting = yield ctx.callActivity('greet', 'World');
    yield ctx.createTimer(new Date(ctx.currentUtcDateTime.getTime() + 200));
    const child = yield ctx.callSubOrchestrator('child');
    return { greeting, child };
  });
  hub.test('activity, timer and child: these twelve events', async () => {
    const id = await hub.start('twelve', undefined, { tags: { a: 'b' }, version: '7' });
    await hub.ended(id);
    const history = await hub.history(id);
    assert.deepEqual(history.map((event) => [event.type, event.eventId]), [
      [Type.OrchestratorStarted, -1],
      [Type.ExecutionStarted, -1],
      [Type.TaskScheduled, 1],
      [Type.OrchestratorStarted, -1],
      [Type.TaskCompleted, -1],
      [Type.TimerCreated, 2],
      [Type.OrchestratorStarted, -1],
      [Type.TimerFired, -1],
      [Type.SubOrchestrationInstanceCreated, 3],
      [Type.OrchestratorStarted, -1],
      [Type.SubOrchestrationInstanceCompleted, -1],
      [Type.ExecutionCompleted, 4],
    ]);
    const execution = (await hub.raw(id)).getExecutionid().getValue();
    const [, started, scheduled, , completed, created, turn, fired, born, , grown, end] = history;
    assert.equal(started.name, 'twelve');
    assert.equal(started.version, '7');
    assert.deepEqual(started.tags, { a: 'b' });
    assert.deepEqual(started.orchestrationInstance, { instanceId: id, executionId: execution });
    assert.equal(started.parentInstance, undefined);
    assert.deepEqual([scheduled.name, scheduled.input], ['greet', '"World"']);
    assert.deepEqual([completed.taskScheduledId, completed.result], [1, '"Hello, World!"']);
    assert.equal(fired.timerId, 2);
    assert.equal(fired.fireAt.getTime(), created.fireAt.getTime());
    assert.ok(turn.timestamp >= fired.fireAt);
    assert.deepEqual([born.name, born.instanceId], ['child', `${execution}:0003`]);
    assert.deepEqual([grown.taskScheduledId, grown.result], [3, '"Child completed"']);
    assert.equal(end.orchestrationStatus, 'ORCHESTRATION_STATUS_COMPLETED');
    assert.deepEqual(JSON.parse(end.result), { greeting: 'Hello, World!', child: 'Child completed' });
    for (const event of history) assert.ok(event.timestamp instanceof Date && event.timestamp.getTime() > 0, event.type);

    const [, childStarted] = await hub.history(born.instanceId);
    assert.deepEqual(childStarted.parentInstance, {
      name: 'twelve', version: '7', taskScheduledId: 3, orchestrationInstance: { instanceId: id, executionId: execution },
    });
  });

  hub.orchestration('three', async function* (ctx) {
    let n = 0;
    for (let i = 0; i < 3; i++) n = yield ctx.callActivity('add one', n);
    return n;
  });
  hub.test('numbers rise, and turns are in the order of time', async () => {
    const id = await hub.start('three');
    await hub.ended(id);
    const history = await hub.history(id);
    assert.deepEqual(history.map((event) => event.eventId).filter((id) => id >= 0), [1, 2, 3, 4]);
    const turns = history.filter((event) => event.type === Type.OrchestratorStarted).map((event) => event.timestamp.getTime());
    assert.equal(turns.length, 4);
    assert.deepEqual(turns, turns.toSorted((a, b) => a - b));
  });

  hub.orchestration('side by side', async function* (ctx) {
    return yield whenAll([ctx.callActivity('greet', 'a'), ctx.callActivity('greet', 'b')]);
  });
  hub.test('two activities side by side', async () => {
    const id = await hub.start('side by side');
    await hub.ended(id);
    const history = await hub.history(id);
    assert.deepEqual(history.slice(2, 4).map((event) => [event.type, event.input]), [[Type.TaskScheduled, '"a"'], [Type.TaskScheduled, '"b"']]);
    const done = history.filter((event) => event.type === Type.TaskCompleted);
    assert.deepEqual(done.map((event) => event.taskScheduledId).toSorted(), [1, 2]);
  });

  hub.orchestration('wait', async function* (ctx) {
    return yield ctx.waitForExternalEvent('MyEvent');
  });
  hub.test('the history of one that runs', async () => {
    const id = await hub.start('wait', 'in');
    await hub.started(id);
    assert.deepEqual((await hub.history(id)).map((event) => event.type), [Type.OrchestratorStarted, Type.ExecutionStarted]);
    await hub.client.raiseOrchestrationEvent(id, 'MyEvent', { data: 1 });
    assert.deepEqual(output(await hub.ended(id)), { data: 1 });
    const raised = (await hub.history(id)).filter((event) => event.type === Type.EventRaised);
    assert.deepEqual(raised.map((event) => [event.name, event.input]), [['MyEvent', '{"data":1}']]);
  });

  hub.entity('Counter', () => new Counter());
  hub.orchestration('entities', async function* (ctx, key) {
    const counter = new EntityInstanceId('Counter', key);
    ctx.entities.signalEntity(counter, 'add', 1);
    const lock = yield ctx.entities.lockEntities(counter);
    const n = yield ctx.entities.callEntity(counter, 'add', 2);
    lock.release();
    try {
      yield ctx.entities.callEntity(counter, 'subtract', 1);
    } catch {
      return n;
    }
  });
  hub.test('entities: signalled, locked, called, released, failed', async () => {
    const id = await hub.start('entities', 'history');
    assert.equal(output(await hub.ended(id)), 3);
    const history = (await hub.history(id)).filter((event) => event.type.startsWith('Entity'));
    assert.deepEqual(history.map((event) => event.type), [
      Type.EntityOperationSignaled, Type.EntityLockRequested, Type.EntityLockGranted, Type.EntityOperationCalled,
      Type.EntityOperationCompleted, Type.EntityUnlockSent, Type.EntityOperationCalled, Type.EntityOperationFailed,
    ]);
    const [signaled, requested, granted, called, completed, unlocked, again, failed] = history;
    assert.deepEqual([signaled.eventId, signaled.operation, signaled.input, signaled.targetInstanceId], [1, 'add', '1', '@counter@history']);
    assert.deepEqual([requested.eventId, requested.lockSet, requested.position, requested.parentInstanceId], [2, ['@counter@history'], 0, id]);
    assert.equal(granted.criticalSectionId, requested.criticalSectionId);
    assert.deepEqual([called.eventId, called.operation, called.targetInstanceId, called.parentInstanceId], [3, 'add', '@counter@history', id]);
    assert.deepEqual([completed.eventId, completed.requestId, completed.output], [-1, called.requestId, '3']);
    assert.deepEqual([unlocked.eventId, unlocked.criticalSectionId, unlocked.targetInstanceId], [4, requested.criticalSectionId, '@counter@history']);
    assert.equal(failed.requestId, again.requestId);
    assert.ok(failed.failureDetails.message.length > 0);
  });

  hub.test('one that is not there has an empty history', async () => {
    assert.deepEqual(await hub.history('nobody'), []);
  });

  hub.orchestration('echo', async (_, value) => value);
  hub.test('a history larger than a message comes in pieces', async () => {
    const value = 'x'.repeat(3 << 20);
    const id = await hub.start('echo', value);
    assert.equal(status(await hub.client.waitForOrchestrationCompletion(id, false, 60)), 'COMPLETED');
    // A client with the limit that gRPC has by default.
    const client = hub.newClient({ options: { 'grpc.max_receive_message_length': 4 << 20 } });
    const [, started, completed] = await client.getOrchestrationHistory(id);
    assert.ok(started.input === JSON.stringify(value) && completed.result === started.input);
  });

  hub.test('a worker may ask for the history of an execution: all that was before its end', async () => {
    const id = await hub.start('three');
    await hub.ended(id);
    const request = new pb.StreamInstanceHistoryRequest();
    request.setInstanceid(id);
    request.setExecutionid(text((await hub.raw(id)).getExecutionid().getValue()));
    request.setForworkitemprocessing(true);
    const events = (await hub.stream('streamInstanceHistory', request)).flatMap((chunk) => chunk.getEventsList());
    assert.equal(events.length, 11);
    assert.equal(events.at(-1).hasTaskcompleted(), true);
  });
});
