// Workers come and go.

import assert from 'node:assert/strict';
import { Hub, gate, output, sdk, status } from './hub.mjs';

const { whenAll, EntityInstanceId } = sdk;

Hub.suite(import.meta.url, (suite) => {
  // alone runs body in a hub that has no worker yet.
  const alone = async (define, body) => {
    const hub = new Hub('workers');
    define(hub);
    await hub.create();
    try {
      await body(hub);
    } finally {
      await hub.close();
    }
  };

  suite.test('work waits for the first worker', () =>
    alone(
      (hub) => hub.orchestration('quick', async (_, n) => n),
      async (hub) => {
        const ids = await Promise.all([1, 2, 3].map((n) => hub.start('quick', n)));
        for (const id of ids) assert.equal(status(await hub.client.getOrchestrationState(id)), 'PENDING');
        await hub.work();
        for (const [i, id] of ids.entries()) assert.equal(output(await hub.ended(id)), i + 1);
      }));

  suite.test('what a worker held goes to another as soon as it is gone', () => {
    const { opened, open } = gate();
    let runs = 0;
    return alone(
      (hub) => {
        hub.activity('hang', async () => {
          if (++runs > 1) return 'second';
          open();
          await new Promise(() => {});
        });
        hub.orchestration('call', async function* (ctx) {
          return yield ctx.callActivity('hang');
        });
      },
      async (hub) => {
        const first = await hub.work({ shutdownTimeoutMs: 1 });
        const id = await hub.start('call');
        await opened;
        await hub.work();
        await hub.rest(first);
        assert.equal(output(await hub.ended(id)), 'second');
        assert.equal(runs, 2);
      });
  });

  suite.test('a worker that stops gives the answers that it has', () => {
    const { opened, open } = gate();
    const { opened: released, open: release } = gate();
    let runs = 0;
    return alone(
      (hub) => {
        hub.activity('last', async () => {
          runs++;
          open();
          await released;
          return 'last';
        });
        hub.orchestration('call', async function* (ctx) {
          return yield ctx.callActivity('last');
        });
      },
      async (hub) => {
        const worker = await hub.work();
        const id = await hub.start('call');
        await opened;
        const rested = hub.rest(worker);
        release();
        await rested;
        await hub.work();
        assert.equal(output(await hub.ended(id)), 'last');
        assert.equal(runs, 1);
      });
  });

  suite.test('instances go on with another worker', () => {
    const where = [];
    return alone(
      (hub) => {
        hub.activity('step', (_, n) => n + 1);
        hub.orchestration('steps', async function* (ctx) {
          let n = yield ctx.callActivity('step', 0);
          yield ctx.waitForExternalEvent('go');
          for (let i = 0; i < 5; i++) n = yield ctx.callActivity('step', n);
          return n;
        });
      },
      async (hub) => {
        let worker = await hub.work();
        const ids = await Promise.all(Array.from({ length: 10 }, () => hub.start('steps')));
        for (const id of ids) where.push(status(await hub.started(id)));
        await hub.rest(worker);
        worker = await hub.work();
        for (const id of ids) await hub.client.raiseOrchestrationEvent(id, 'go');
        for (const id of ids) assert.equal(output(await hub.ended(id)), 6);
        assert.deepEqual(new Set(where), new Set(['RUNNING']));
      });
  });

  suite.test('two workers share the work', () => {
    const { opened, open } = gate();
    const took = new Set();
    return alone(
      () => {},
      async (hub) => {
        // Each call waits until both workers have one.
        for (const name of ['a', 'b']) {
          hub.activities.set('meet', async () => {
            took.add(name);
            if (took.size === 2) open();
            await opened;
          });
          hub.orchestrations.set('meet', async function* (ctx) {
            yield whenAll(Array.from({ length: 50 }, () => ctx.callActivity('meet')));
            return 'met';
          });
          await hub.work();
        }
        assert.deepEqual(await Promise.all([hub.result('meet'), hub.result('meet')]), ['met', 'met']);
      });
  });

  suite.test('an entity\'s operations run one at a time, whoever runs them', () => {
    let inside = 0;
    let most = 0;
    return alone(
      (hub) => {
        hub.entity('Slow', () => ({
          async run(operation) {
            most = Math.max(most, ++inside);
            await new Promise((resolve) => setTimeout(resolve, 5));
            inside--;
            operation.state.setState((operation.state.getState() ?? 0) + 1);
            return operation.state.getState();
          },
        }));
        hub.orchestration('call', async function* (ctx) {
          return yield ctx.entities.callEntity(new EntityInstanceId('Slow', 'e'), 'run');
        });
      },
      async (hub) => {
        await Promise.all([hub.work(), hub.work(), hub.work()]);
        const results = await Promise.all(Array.from({ length: 30 }, () => hub.result('call')));
        assert.deepEqual(results.toSorted((a, b) => a - b), Array.from({ length: 30 }, (_, i) => i + 1));
        assert.equal(most, 1);
      });
  });

  suite.test('a worker may come back', () =>
    alone(
      (hub) => hub.orchestration('quick', async () => 'quick'),
      async (hub) => {
        for (let i = 0; i < 3; i++) {
          const worker = await hub.work();
          assert.equal(await hub.result('quick'), 'quick');
          await hub.rest(worker);
        }
      }));
});
