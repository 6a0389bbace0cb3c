// Runs whose steps are partly Go, in the process of the server, and partly JavaScript, here.
// Their other half is program_test.go.

import assert from 'node:assert/strict';
import { Hub, failure, output, sdk, until } from '../hub.mjs';

const { EntityInstanceId, HistoryEventType, whenAll } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.activity('format', (_, { template, name }) => template.replace('%', name));
  hub.activity('refuse', () => {
    throw Object.assign(new Error('not on a Tuesday'), { name: 'Refused' });
  });
  hub.orchestration('review', async function* (ctx, gross) {
    const word = yield ctx.waitForExternalEvent('reviewed');
    return `${word}: ${gross}`;
  });

  hub.test('a Go orchestration, its activity in JavaScript', async () => {
    assert.equal(await hub.result('go greet', 'Zoë'), 'Hello, Zoë!');
  });

  hub.test('twenty of them at once', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `n${i}`);
    assert.deepEqual(await Promise.all(names.map((name) => hub.result('go greet', name))), names.map((name) => `Hello, ${name}!`));
  });

  hub.test('a Go orchestration with steps and a child in both, and a failure from here', async () => {
    const id = await hub.start('go invoice', { customer: 'Ann', net: 10 });
    const child = await until('it has a child', async () =>
      (await hub.history(id)).find((event) => event.type === HistoryEventType.SubOrchestrationInstanceCreated)?.instanceId);
    await hub.started(child);
    await hub.client.raiseOrchestrationEvent(child, 'reviewed', 'good');
    const { refused, ...bill } = output(await hub.ended(id));
    assert.deepEqual(bill, { greeting: 'Dear Ann,', gross: 12.5, reviewed: 'good: 12.5', paid: 12.5 });
    assert.match(refused, /not on a Tuesday/);
    assert.equal((await hub.client.getEntity(new EntityInstanceId('ledger', 'Ann'))).state.Sum, 12.5);
    const failed = (await hub.history(id)).find((event) => event.type === HistoryEventType.TaskFailed);
    assert.equal(failed.failureDetails.errorType, 'Refused');
  });

  hub.orchestration('ask', async function* (ctx, question) {
    const { text, turns, toolCalls } = yield ctx.callSubOrchestrator('agent:clerk', { input: question });
    const gross = yield ctx.callActivity('go tax', 10);
    return { text, turns, toolCalls, gross };
  });
  hub.test('a JavaScript orchestration, a Go agent as its child and a Go activity', async () => {
    assert.deepEqual(await hub.result('ask', 'What does Ann owe?'), { text: 'Ann still owes 12.50.', turns: 2, toolCalls: 1, gross: 12.5 });
  });

  hub.test('a client starts a Go agent by itself', async () => {
    assert.equal((await hub.result('agent:clerk', { input: 'What does Ann owe?' })).text, 'Ann still owes 12.50.');
  });

  hub.orchestration('spend', async function* (ctx, net) {
    return yield ctx.callActivity('go tax', net);
  });
  hub.test('the failure of a Go activity', async () => {
    assert.match(failure(await hub.run('spend', -1)).message, /a net price of -1/);
  });

  hub.orchestration('book', async function* (ctx, customer) {
    const id = new EntityInstanceId('ledger', customer);
    ctx.entities.signalEntity(id, 'add', 1);
    const lock = yield ctx.entities.lockEntities(id);
    const sums = [yield ctx.entities.callEntity(id, 'add', 2), yield ctx.entities.callEntity(id, 'add', 3)];
    lock.release();
    return sums;
  });
  hub.test('a Go entity: signalled, locked and called', async () => {
    assert.deepEqual(await hub.result('book', 'Bob'), [3, 6]);
  });

  hub.orchestration('all', async function* (ctx) {
    return yield whenAll([
      ctx.callSubOrchestrator('go greet', 'a'), ctx.callActivity('go tax', 4), ctx.callActivity('format', { template: '%!', name: 'b' }),
    ]);
  });
  hub.test('both side by side', async () => {
    assert.deepEqual(await hub.result('all'), ['Hello, a!', 5, 'b!']);
  });
});
