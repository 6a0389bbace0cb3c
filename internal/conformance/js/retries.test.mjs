// Retries are the worker's: to the server they are timers and calls with new numbers.

import assert from 'node:assert/strict';
import { Hub, sdk, output, failure } from './hub.mjs';

const { RetryPolicy, HistoryEventType } = sdk;

Hub.suite(import.meta.url, (hub) => {
  // Attempts by key: an activity or child fails until it was tried often enough.
  const attempts = new Map();
  const attempt = ({ key, fail, names = [] }) => {
    const n = (attempts.get(key) ?? 0) + 1;
    attempts.set(key, n);
    if (n <= fail) throw Object.assign(new Error(`attempt ${n} failed`), { name: names[n - 1] ?? 'Transient' });
    return n;
  };
  hub.activity('flaky', (_, task) => attempt(task));
  hub.orchestration('flaky', async function* (_, task) {
    return attempt(task);
  });

  // How a test wants a call to be retried, by name: functions do not travel in an input.
  const fast = { maxNumberOfAttempts: 5, firstRetryIntervalInMilliseconds: 20, backoffCoefficient: 1 };
  const ways = {
    policy: new RetryPolicy(fast),
    'three times': new RetryPolicy({ ...fast, maxNumberOfAttempts: 3 }),
    backoff: new RetryPolicy({ ...fast, firstRetryIntervalInMilliseconds: 50, backoffCoefficient: 2 }),
    capped: new RetryPolicy({ ...fast, firstRetryIntervalInMilliseconds: 50, backoffCoefficient: 2, maxRetryIntervalInMilliseconds: 80 }),
    'for a while': new RetryPolicy({ ...fast, maxNumberOfAttempts: 1000, firstRetryIntervalInMilliseconds: 100, retryTimeoutInMilliseconds: 500 }),
    transient: new RetryPolicy({ ...fast, handleFailure: (failure) => failure.errorType === 'Transient' }),
    'by text': new RetryPolicy({ ...fast, handleFailure: (failure) => failure.message.includes('attempt 1') }),
    handler: async (ctx) => ctx.lastAttemptNumber < 3,
    'handler at once': (ctx) => ctx.lastAttemptNumber < 5 && ctx.lastFailure.errorType === 'Transient',
    'handler with delay': (ctx) => (ctx.lastAttemptNumber < 5 ? 40 * ctx.lastAttemptNumber : false),
  };

  hub.orchestration('call activity', async function* (ctx, { way, task }) {
    return yield ctx.callActivity('flaky', task, { retry: ways[way] });
  });
  hub.orchestration('call child', async function* (ctx, { way, task, instanceId }) {
    return yield ctx.callSubOrchestrator('flaky', task, { retry: ways[way], instanceId });
  });

  let keys = 0;
  // try runs a call, and gives the state, the attempts, and the delays that its timers asked for.
  const run = async (caller, way, task, rest = {}) => {
    const key = `task ${++keys}`;
    const id = await hub.start(caller, { way, task: { key, ...task }, ...rest });
    const state = await hub.ended(id);
    const delays = [];
    let failed;
    for (const event of await hub.history(id)) {
      if (event.type === HistoryEventType.OrchestratorStarted) failed = event.timestamp;
      if (event.type === HistoryEventType.TimerCreated) delays.push(event.fireAt - failed);
    }
    return { id, state, attempts: attempts.get(key), delays };
  };

  for (const caller of ['call activity', 'call child']) {
    hub.test(`${caller}: a policy tries again until it works`, async () => {
      const { state, delays } = await run(caller, 'policy', { fail: 2 });
      assert.equal(output(state), 3);
      assert.deepEqual(delays, [20, 20]);
    });

    hub.test(`${caller}: a policy gives up after its attempts`, async () => {
      const { state, attempts, delays } = await run(caller, 'three times', { fail: 9 });
      assert.match(failure(state).message, /attempt 3 failed/);
      assert.equal(attempts, 3);
      assert.equal(delays.length, 2);
    });

    hub.test(`${caller}: intervals grow`, async () => {
      const { state, delays } = await run(caller, 'backoff', { fail: 3 });
      assert.equal(output(state), 4);
      assert.deepEqual(delays, [50, 100, 200]);
    });

    hub.test(`${caller}: intervals grow to a limit`, async () => {
      const { state, delays } = await run(caller, 'capped', { fail: 3 });
      assert.equal(output(state), 4);
      assert.deepEqual(delays, [50, 80, 80]);
    });

    hub.test(`${caller}: a policy gives up after its time`, async () => {
      const { state, attempts } = await run(caller, 'for a while', { fail: 1000 });
      failure(state);
      assert.ok(attempts <= 6, `${attempts} attempts`);
    });

    hub.test(`${caller}: a policy chooses by the type of the failure`, async () => {
      const { state, attempts } = await run(caller, 'transient', { fail: 9, names: ['Transient', 'Transient', 'Fatal'] });
      assert.match(failure(state).message, /attempt 3 failed/);
      assert.equal(attempts, 3);
    });

    hub.test(`${caller}: a policy chooses by the text of the failure`, async () => {
      const { state, attempts } = await run(caller, 'by text', { fail: 9 });
      failure(state);
      assert.equal(attempts, 2);
    });

    hub.test(`${caller}: a handler decides`, async () => {
      assert.equal(output((await run(caller, 'handler', { fail: 2 })).state), 3);
      const { state, attempts } = await run(caller, 'handler', { fail: 9 });
      failure(state);
      assert.equal(attempts, 3);
    });

    hub.test(`${caller}: a handler has the failure`, async () => {
      const { state, attempts, delays } = await run(caller, 'handler at once', { fail: 9, names: ['Transient', 'Fatal'] });
      failure(state);
      assert.equal(attempts, 2);
      assert.deepEqual(delays, []);
    });

    hub.test(`${caller}: a handler gives a delay`, async () => {
      const { state, delays } = await run(caller, 'handler with delay', { fail: 3 });
      assert.equal(output(state), 4);
      assert.deepEqual(delays, [40, 80, 120]);
    });
  }

  hub.test('each attempt is a call with a new number', async () => {
    const { id } = await run('call activity', 'policy', { fail: 2 });
    const history = await hub.history(id);
    const numbers = (type) => history.filter((event) => event.type === type).map((event) => event.eventId);
    assert.deepEqual(numbers(HistoryEventType.TaskScheduled), [1, 3, 5]);
    assert.deepEqual(numbers(HistoryEventType.TimerCreated), [2, 4]);
    assert.deepEqual(history.filter((event) => event.type === HistoryEventType.TaskFailed).map((event) => event.taskScheduledId), [1, 3]);
  });

  hub.test('a child with an id of its own is tried again under that id', async () => {
    const { state, id } = await run('call child', 'policy', { fail: 2 }, { instanceId: 'flaky child' });
    assert.equal(output(state), 3);
    assert.equal(output(await hub.client.getOrchestrationState('flaky child')), 3);
    const created = (await hub.history(id)).filter((event) => event.type === HistoryEventType.SubOrchestrationInstanceCreated);
    assert.deepEqual(created.map((event) => event.instanceId), Array(3).fill('flaky child'));
  });
});
