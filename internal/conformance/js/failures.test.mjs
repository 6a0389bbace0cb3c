// Failures travel as they are.

import assert from 'node:assert/strict';
import { Hub, sdk, failure } from './hub.mjs';

const { HistoryEventType } = sdk;

class CardRefused extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'CardRefused';
  }
}

Hub.suite(import.meta.url, (hub) => {
  hub.activity('pay', () => {
    throw new CardRefused('no money', { cause: new TypeError('balance', { cause: new Error('the very bottom') }) });
  });
  hub.activity('throw text', () => {
    throw 'only text';
  });
  hub.activity('fine', () => 'fine');

  hub.orchestration('call', async function* (ctx, name) {
    return yield ctx.callActivity(name);
  });

  hub.test('the type, text and stack of an activity\'s error are in its event', async () => {
    const id = await hub.start('call', 'pay');
    const details = failure(await hub.ended(id));
    assert.match(details.message, /no money/);
    const failed = (await hub.history(id)).find((event) => event.type === HistoryEventType.TaskFailed);
    assert.equal(failed.failureDetails.errorType, 'CardRefused');
    assert.equal(failed.failureDetails.message, 'no money');
    assert.match(failed.failureDetails.stackTrace, /failures\.test\.mjs/);
  });

  hub.orchestration('fail', async () => {
    throw new CardRefused('no money', { cause: new TypeError('balance', { cause: new Error('the very bottom') }) });
  });
  hub.test('the causes of an orchestration\'s error are in its state', async () => {
    const id = await hub.start('fail');
    const details = failure(await hub.ended(id));
    assert.equal(details.errorType, 'CardRefused');
    assert.equal(details.message, 'no money');
    assert.match(details.stackTrace, /failures\.test\.mjs/);
    const chain = [];
    for (let f = (await hub.raw(id)).getFailuredetails(); f; f = f.getInnerfailure()) chain.push([f.getErrortype(), f.getErrormessage()]);
    assert.deepEqual(chain, [['CardRefused', 'no money'], ['TypeError', 'balance'], ['Error', 'the very bottom']]);
  });

  hub.test('failure details are given to who asks without payloads', async () => {
    const id = await hub.start('fail');
    await hub.ended(id);
    assert.equal((await hub.client.getOrchestrationState(id, false)).failureDetails.message, 'no money');
  });

  hub.test('what was thrown need not be an error', async () => {
    assert.match(failure(await hub.run('call', 'throw text')).message, /only text/);
  });

  hub.orchestration('go on', async function* (ctx) {
    try {
      yield ctx.callActivity('pay');
    } catch (error) {
      return [error instanceof sdk.TaskFailedError, error.details?.errorType ?? error.details, yield ctx.callActivity('fine')];
    }
  });
  hub.test('an orchestration may go on', async () => {
    const [known, , fine] = await hub.result('go on');
    assert.equal(known, true);
    assert.equal(fine, 'fine');
  });

  hub.test('an activity that no worker knows', async () => {
    const id = await hub.start('call', 'unheard of');
    failure(await hub.ended(id));
    const failed = (await hub.history(id)).find((event) => event.type === HistoryEventType.TaskFailed);
    assert.equal(failed.failureDetails.errorType, 'ActivityNotRegisteredError');
  });

  hub.test('an orchestration that no worker knows', async () => {
    const details = failure(await hub.run('unheard of'));
    assert.match(details.message, /unheard of/);
    assert.match(details.errorType, /OrchestratorNotRegisteredError/);
  });

  hub.orchestration('nested', async function* (ctx, depth) {
    return yield depth === 0 ? ctx.callActivity('pay') : ctx.callSubOrchestrator('nested', depth - 1);
  });
  hub.test('a failure goes up through three generations', async () => {
    assert.match(failure(await hub.run('nested', 3)).message, /no money/);
  });

  // Another body in each turn: what a deploy does that changes the order of steps.
  const bodies = new Map();
  for (const [what, first, then] of [
    ['another step', (ctx) => ctx.callActivity('fine'), (ctx) => ctx.createTimer(3600)],
    ['another name', (ctx) => ctx.callActivity('fine'), (ctx) => ctx.callActivity('pay')],
    ['no step', (ctx) => ctx.callActivity('fine'), (ctx) => ctx.waitForExternalEvent('never')],
  ]) {
    const name = `diverges: ${what}`;
    hub.orchestration(name, async function* (ctx) {
      const turn = (bodies.get(ctx.instanceId) ?? 0) + 1;
      bodies.set(ctx.instanceId, turn);
      yield turn === 1 ? first(ctx) : then(ctx);
      return 'the history said otherwise';
    });
    hub.test(`a body that takes ${what} in replay fails`, async () => {
      assert.match(failure(await hub.run(name)).errorType, /NonDeterminismError/);
    });
  }

  hub.orchestration('not a task', async function* () {
    yield 'not a task';
  });
  hub.test('a body that waits for what is no task fails', async () => {
    assert.match(failure(await hub.run('not a task')).message, /non-Task/);
  });

  hub.orchestration('tidy up', async function* (ctx) {
    try {
      yield ctx.callActivity('pay');
    } finally {
      yield ctx.callActivity('fine');
    }
  });
  hub.test('a body tidies up before it fails', async () => {
    const id = await hub.start('tidy up');
    assert.match(failure(await hub.ended(id)).message, /no money/);
    const completed = (await hub.history(id)).filter((event) => event.type === HistoryEventType.TaskCompleted);
    assert.equal(completed.length, 1);
  });

  hub.orchestration('fail after a start', async function* (ctx) {
    ctx.sendEvent('nobody', 'bye');
    yield ctx.callActivity('fine');
    throw new Error('after all');
  });
  hub.test('a failure after steps is the end', async () => {
    const id = await hub.start('fail after a start');
    assert.equal(failure(await hub.ended(id)).message, 'after all');
    const end = (await hub.history(id)).at(-1);
    assert.equal(end.type, HistoryEventType.ExecutionCompleted);
    assert.equal(end.orchestrationStatus, 'ORCHESTRATION_STATUS_FAILED');
    assert.equal(end.failureDetails.message, 'after all');
    assert.equal((await hub.client.getOrchestrationState(id)).serializedOutput, undefined);
  });
});
