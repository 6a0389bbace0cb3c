// Calls of the protocol that the SDK makes seldom or never.

import assert from 'node:assert/strict';
import { Hub, Empty, code, gate, grpc, output, pb, sdk, status, stub, text, until } from './hub.mjs';

Hub.suite(import.meta.url, (hub) => {
  hub.activity('nothing', () => {});
  hub.orchestration('quick', async () => 'quick');
  hub.orchestration('wait', async function* (ctx) {
    return yield ctx.waitForExternalEvent('go');
  });

  hub.test('hello', async () => {
    await hub.rpc('hello', new Empty());
  });

  hub.test('a stream of work begins with a ping', async () => {
    const other = new Hub('pinged');
    await other.create();
    const { opened, open } = gate();
    const client = stub();
    const headers = new grpc.Metadata();
    headers.set('taskhub', other.name);
    const stream = client.getWorkItems(new pb.GetWorkItemsRequest(), headers);
    stream.on('data', open).on('error', () => {});
    const item = await opened;
    stream.cancel();
    client.close();
    assert.equal(item.hasHealthping(), true);
    assert.equal(item.getCompletiontoken(), '');
    await other.close();
  });

  hub.test('a stream gets no more activities at once than it said', async () => {
    const other = new Hub('limited');
    other.orchestration('six', async function* (ctx) {
      return yield sdk.whenAll(Array.from({ length: 6 }, (_, i) => ctx.callActivity('slow', i)));
    });
    await other.create();
    await other.work({ workItemFilters: { orchestrations: [{ name: 'six' }] } });
    const request = new pb.GetWorkItemsRequest();
    request.setMaxconcurrentactivityworkitems(2);
    const filters = new pb.WorkItemFilters();
    filters.addActivities(new pb.ActivityFilter()).setName('slow');
    request.setWorkitemfilters(filters);
    const client = stub();
    const headers = new grpc.Metadata();
    headers.set('taskhub', other.name);
    const held = [];
    const stream = client.getWorkItems(request, headers);
    stream.on('error', () => {}).on('data', (item) => item.hasActivityrequest() && held.push(item));
    const id = await other.start('six');
    for (let answered = 0; answered < 6; answered += 2) {
      await until('two are here', () => held.length === 2);
      await other.raw(id); // what is too much would have come before this
      assert.equal(held.length, 2);
      for (const item of held.splice(0)) {
        const answer = new pb.ActivityResponse();
        const activity = item.getActivityrequest();
        answer.setInstanceid(activity.getOrchestrationinstance().getInstanceid());
        answer.setTaskid(activity.getTaskid());
        answer.setCompletiontoken(item.getCompletiontoken());
        answer.setResult(activity.getInput());
        await other.rpc('completeActivityTask', answer);
      }
    }
    assert.deepEqual(output(await other.ended(id)), [0, 1, 2, 3, 4, 5]);
    stream.cancel();
    client.close();
    await other.close();
  });

  hub.test('an unknown method is unimplemented', async () => {
    const client = new grpc.Client(process.env.AGENTRUN_ENDPOINT, grpc.credentials.createInsecure());
    const made = new Promise((resolve, reject) => {
      const bytes = (message) => Buffer.from(message);
      client.makeUnaryRequest('/TaskHubSidecarService/NoSuchMethod', bytes, bytes, '', (error, response) => (error ? reject(error) : resolve(response)));
    });
    await assert.rejects(made, code('UNIMPLEMENTED'));
    client.close();
  });

  // Late answers are no errors of the worker that gives them.
  for (const [method, Request] of [
    ['completeOrchestratorTask', pb.OrchestratorResponse], ['completeActivityTask', pb.ActivityResponse], ['completeEntityTask', pb.EntityBatchResult],
    ['abandonTaskOrchestratorWorkItem', pb.AbandonOrchestrationTaskRequest], ['abandonTaskActivityWorkItem', pb.AbandonActivityTaskRequest],
    ['abandonTaskEntityWorkItem', pb.AbandonEntityTaskRequest],
  ]) {
    hub.test(`${method} with a token that is not known`, async () => {
      const request = new Request();
      request.setCompletiontoken('no such token');
      await hub.rpc(method, request).catch(code('NOT_FOUND'));
    });
  }

  hub.test('a wait that its caller gives up ends, and the instance goes on', async () => {
    const id = await hub.start('wait');
    await hub.started(id);
    for (const method of ['waitForInstanceCompletion', 'waitForInstanceStart']) {
      const request = new pb.GetInstanceRequest();
      request.setInstanceid(method === 'waitForInstanceStart' ? 'not yet' : id);
      const headers = new grpc.Metadata();
      headers.set('taskhub', hub.name);
      const late = new Promise((resolve, reject) => {
        hub.stub[method](request, headers, { deadline: Date.now() + 100 }, (error, response) => (error ? reject(error) : resolve(response)));
      });
      // Which of the two it is depends on who looks at the clock first.
      await assert.rejects(late, ({ code }) => code === grpc.status.DEADLINE_EXCEEDED || code === grpc.status.CANCELLED);
    }
    assert.equal(status(await hub.client.getOrchestrationState(id)), 'RUNNING');
    await hub.client.raiseOrchestrationEvent(id, 'go');
    assert.equal(status(await hub.ended(id)), 'COMPLETED');
  });

  hub.test('a wait for one that does not exist yet', async () => {
    const ended = hub.ended('soon');
    await hub.start('quick', null, 'soon');
    assert.equal(status(await ended), 'COMPLETED');
  });

  hub.test('terminated at once, without a turn', async () => {
    await hub.start('wait', null, 'skipped');
    await hub.started('skipped');
    await hub.run('quick', null, 'skipped too late');
    const request = new pb.SkipGracefulOrchestrationTerminationsRequest();
    const batch = new pb.InstanceBatch();
    batch.setInstanceidsList(['skipped', 'skipped too late', 'nobody']);
    request.setInstancebatch(batch);
    request.setReason(text('at once'));
    const left = (await hub.rpc('skipGracefulOrchestrationTerminations', request)).getUnterminatedinstanceidsList();
    assert.deepEqual(left.toSorted(), ['nobody', 'skipped too late']);
    assert.equal(status(await hub.client.getOrchestrationState('skipped')), 'TERMINATED');
    assert.equal(status(await hub.client.getOrchestrationState('skipped too late')), 'COMPLETED');
  });

  hub.orchestration('calls', async function* (ctx) {
    yield ctx.callActivity('nothing');
    yield ctx.createTimer(0.05);
    return 'done';
  });
  hub.test('answers that come twice count once', async () => {
    const repeat = (options, next) => {
      const twice = /\/Complete(Orchestrator|Activity|Entity)Task$/.test(options.method_definition.path);
      return new grpc.InterceptingCall(next(options), {
        sendMessage: (message, next) => {
          if (twice) repeated.push(hub2.rpc(options.method_definition.path.replace(/.*\/C/, 'c'), message).catch(code('NOT_FOUND')));
          next(message);
        },
      });
    };
    const repeated = [];
    const hub2 = new Hub('repeated', { options: { interceptors: [repeat] } });
    for (const [name, body] of hub.activities) hub2.activity(name, body);
    for (const [name, body] of hub.orchestrations) hub2.orchestration(name, body);
    await hub2.open();
    try {
      const ids = await Promise.all(Array.from({ length: 10 }, () => hub2.start('calls')));
      for (const id of ids) {
        assert.equal(status(await hub2.ended(id)), 'COMPLETED');
        const { TaskCompleted, TimerFired, ExecutionCompleted } = sdk.HistoryEventType;
        const types = (await hub2.history(id)).map((event) => event.type);
        for (const type of [TaskCompleted, TimerFired, ExecutionCompleted]) assert.equal(types.filter((t) => t === type).length, 1, type);
      }
      assert.ok(repeated.length >= 40);
      await Promise.all(repeated);
    } finally {
      await hub2.close();
    }
  });
});
