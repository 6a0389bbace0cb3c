// Trace contexts go where their causes go. Without OpenTelemetry there are none.

import assert from 'node:assert/strict';
import { Hub, output, sdk, spans, withTelemetry, until } from './hub.mjs';

const { HistoryEventType: Type, EntityInstanceId, DurableTaskAttributes: Attribute } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.activity('step', (_, n) => n + 1);
  hub.orchestration('child', async function* (ctx, n) {
    return yield ctx.callActivity('step', n);
  });
  hub.orchestration('parent', async function* (ctx) {
    const n = yield ctx.callActivity('step', 0);
    yield ctx.createTimer(0.01);
    return yield ctx.callSubOrchestrator('child', n);
  });

  const events = async (id) => Object.fromEntries((await hub.history(id)).map((event) => [event.type, event]));

  hub.test('contexts are in the events of those that they start', async () => {
    const id = await hub.start('parent');
    assert.equal(output(await hub.ended(id)), 2);
    const parent = await events(id);
    const child = await events(parent[Type.SubOrchestrationInstanceCreated].instanceId);
    const contexts = [
      parent[Type.ExecutionStarted], parent[Type.TaskScheduled], parent[Type.SubOrchestrationInstanceCreated], child[Type.ExecutionStarted], child[Type.TaskScheduled],
    ].map((event) => event.parentTraceContext?.traceParent);
    if (!withTelemetry) {
      assert.deepEqual(contexts, Array(5).fill(undefined));
      return;
    }
    for (const context of contexts) assert.match(context, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    assert.equal(new Set(contexts.map((context) => context.split('-')[1])).size, 1, 'one trace');
    assert.equal(contexts[3], contexts[2]);
    assert.equal(new Set(contexts).size, 4);
  });

  if (!withTelemetry) return;

  // of gives the spans of an instance and those below it.
  const of = async (id, wanted) => {
    const mine = () => {
      const [root] = spans().filter((span) => span.name.startsWith('create_orchestration:') && span.attributes[Attribute.TASK_INSTANCE_ID] === id);
      return root && spans().filter((span) => span.spanContext().traceId === root.spanContext().traceId);
    };
    await until('all spans', () => mine()?.length >= wanted);
    return mine();
  };
  const parentOf = (span) => span.parentSpanContext?.spanId;
  const named = (list, name, kind) => list.filter((span) => span.name === name && (kind === undefined || span.kind === kind));
  const [SERVER, CLIENT, PRODUCER] = [1, 2, 3];

  hub.test('the spans of client, workers and children are one trace', async () => {
    const id = await hub.start('parent');
    await hub.ended(id);
    const list = await of(id, 6);
    const [create] = named(list, 'create_orchestration:parent', PRODUCER);
    const turns = named(list, 'orchestration:parent', SERVER);
    assert.ok(turns.length >= 1);
    for (const turn of turns) assert.equal(parentOf(turn), create.spanContext().spanId);
    const [step] = named(list, 'activity:step', SERVER);
    const scheduled = (await events(id))[Type.TaskScheduled].parentTraceContext;
    assert.equal(parentOf(step), scheduled.traceParent.split('-')[2]);
    assert.equal(named(list, 'activity:step', CLIENT).length, 2);
    assert.equal(named(list, 'orchestration:child', CLIENT).length, 1);
  });

  hub.test('the first turn\'s span is known to the later ones', async () => {
    const id = await hub.start('parent');
    await hub.ended(id);
    const turns = named(await of(id, 6), 'orchestration:parent', SERVER);
    const first = turns.filter((span) => span.attributes[Attribute.REPLAY_SPAN_ID] === undefined);
    assert.equal(first.length, 1, 'one turn is the first');
    const rest = turns.filter((span) => span !== first[0]);
    assert.ok(rest.length >= 1);
    for (const span of rest) assert.equal(span.attributes[Attribute.REPLAY_SPAN_ID], first[0].spanContext().spanId);
  });

  hub.entity('Counter', () => ({ run: (operation) => operation.state.setState(operation.getInput()) }));
  hub.orchestration('entities', async function* (ctx) {
    ctx.entities.signalEntity(new EntityInstanceId('Counter', 'c'), 'set', 1);
    yield ctx.entities.callEntity(new EntityInstanceId('Counter', 'c'), 'set', 2);
    ctx.sendEvent(ctx.instanceId, 'done');
    yield ctx.waitForExternalEvent('done');
  });
  hub.test('signals, calls and events have spans', async () => {
    const id = await hub.start('entities');
    await hub.ended(id);
    const names = new Set((await of(id, 5)).map((span) => span.name));
    for (const kind of ['signal_entity:', 'call_entity:', 'orchestration_event:']) {
      assert.ok([...names].some((name) => name.startsWith(kind)), `${kind} of ${[...names]}`);
    }
  });
});
