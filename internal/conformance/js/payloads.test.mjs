// Payloads come back as they were given: empty, absent, odd or large.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Hub, pb, text, output, code, sdk } from './hub.mjs';

Hub.suite(import.meta.url, (hub) => {
  hub.activity('echo', (_, value) => value);
  hub.activity('kind', (_, value) => typeof value);
  hub.orchestration('echo', async (_, value) => value);
  hub.orchestration('echo activity', async function* (ctx, value) {
    return yield ctx.callActivity('echo', value);
  });
  hub.orchestration('echo child', async function* (ctx, value) {
    return yield ctx.callSubOrchestrator('echo', value);
  });
  hub.orchestration('echo event', async function* (ctx) {
    return yield ctx.waitForExternalEvent('value');
  });

  const values = {
    zero: 0,
    'the empty string': '',
    false: false,
    null: null,
    'an empty list': [],
    'an empty object': {},
    'a string that looks like JSON': '{"a":1}',
    'letters of many scripts': 'Zürich 東京 Москва עברית 🧪👩‍🚀 \u0000 \u2028 "quoted" \\ \n',
    'a number with a fraction': -1.5e-7,
  };
  for (const [what, value] of Object.entries(values)) {
    for (const way of ['echo', 'echo activity', 'echo child']) {
      hub.test(`${what}: ${way}`, async () => {
        const state = await hub.run(way, value);
        assert.deepEqual(output(state), value);
        assert.equal(state.serializedInput, JSON.stringify(value));
        assert.equal(state.serializedOutput, JSON.stringify(value));
      });
    }
    hub.test(`${what}: echo event`, async () => {
      const id = await hub.start('echo event');
      await hub.client.raiseOrchestrationEvent(id, 'value', value);
      assert.equal((await hub.ended(id)).serializedOutput, JSON.stringify(value));
    });
  }

  hub.orchestration('kinds', async function* (ctx) {
    return [yield ctx.callActivity('kind'), yield ctx.callActivity('kind', ''), yield ctx.callActivity('kind', null)];
  });
  hub.test('an activity without input has none, and one with an empty one has it', async () => {
    assert.deepEqual(await hub.result('kinds'), ['undefined', 'string', 'object']);
  });

  // start starts the orchestration with an input as it is on the wire.
  const start = (id, input) => {
    const request = new pb.CreateInstanceRequest();
    request.setInstanceid(id);
    request.setName('input');
    if (input !== undefined) request.setInput(text(input));
    return hub.rpc('startInstance', request);
  };
  hub.orchestration('input', async () => {});
  hub.test('no input stays absent, and an empty one is there', async () => {
    for (const [id, input] of [['absent', undefined], ['empty', '']]) {
      await start(id, input);
      await hub.ended(id);
      assert.equal((await hub.raw(id)).getInput()?.getValue(), input, id);
      const started = (await hub.history(id)).find((event) => event.type === sdk.HistoryEventType.ExecutionStarted);
      assert.equal(started.input, input, id);
    }
  });

  hub.test('no result stays absent', async () => {
    await start('no result');
    await hub.ended('no result');
    assert.equal((await hub.raw('no result')).getOutput(), undefined);
  });

  hub.test('no custom status stays absent', async () => {
    await start('no status');
    await hub.ended('no status');
    assert.equal((await hub.raw('no status')).getCustomstatus(), undefined);
  });

  // A turn's work is a message with the whole history, which has what is passed on three times.
  for (const [what, size, ways] of [['1 MiB', 1 << 20, ['echo', 'echo activity', 'echo child']], ['3 MiB', 3 << 20, ['echo']]]) {
    const value = randomBytes(size).toString('base64').slice(0, size - 1000);
    for (const way of ways) {
      hub.test(`${what}: ${way}`, async () => {
        const id = await hub.start(way, value);
        await hub.client.waitForOrchestrationCompletion(id, false, 60);
        const request = new pb.GetInstanceRequest();
        request.setInstanceid(id);
        const state = (await hub.rpc('getInstance', request)).getOrchestrationstate();
        assert.equal(state.getOrchestrationstatus(), sdk.ProtoOrchestrationStatus.ORCHESTRATION_STATUS_COMPLETED);
        const completed = (await hub.history(id)).at(-1);
        assert.equal(completed.type, sdk.HistoryEventType.ExecutionCompleted);
        assert.ok(JSON.parse(completed.result) === value);
      });
    }
  }

  hub.test('an id of more than 100 characters is refused, and the error says so', async () => {
    await assert.rejects(hub.start('echo', 1, 'i'.repeat(101)), code('INVALID_ARGUMENT', /length/));
    assert.equal(output(await hub.run('echo', 1, 'i'.repeat(100))), 1);
  });
});
