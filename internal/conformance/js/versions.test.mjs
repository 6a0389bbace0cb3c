// Versions of orchestrations, and workers that take some of them.

import assert from 'node:assert/strict';
import { Hub, sdk, output, failure, status } from './hub.mjs';

const { VersionMatchStrategy: Match, VersionFailureStrategy: Failure } = sdk;

Hub.suite(import.meta.url, (hub) => {
  hub.orchestration('version', async (ctx) => ctx.version);

  hub.test('the version of an instance reaches it', async () => {
    assert.equal(await hub.result('version', null, { version: '1.0.0' }), '1.0.0');
    assert.equal(await hub.result('version', null), '');
  });

  hub.test('a client may have a version for all that it starts', async () => {
    const client = hub.newClient({ defaultVersion: '3.0' });
    for (const [options, wanted] of [[undefined, '3.0'], [{ version: '4.0' }, '4.0']]) {
      const id = await client.scheduleNewOrchestration('version', null, options);
      assert.equal(output(await hub.ended(id)), wanted);
      assert.equal((await hub.raw(id)).getVersion().getValue(), wanted);
    }
  });

  // withWorker runs body in a hub whose only worker has a version.
  const withWorker = async (versioning, body) => {
    const other = new Hub('versioned', { versioning });
    other.orchestration('version', async (ctx) => ctx.version);
    await other.open();
    try {
      await body(other);
    } finally {
      await other.close();
    }
  };

  for (const [strategy, version] of [['None', '2.0.0'], ['Strict', '1.0.0'], ['CurrentOrOlder', '1.0.0'], ['CurrentOrOlder', '0.9.5'], ['CurrentOrOlder', '']]) {
    hub.test(`${strategy}: a worker of 1.0.0 takes ${version || 'no version'}`, () =>
      withWorker({ version: '1.0.0', matchStrategy: Match[strategy], failureStrategy: Failure.Fail }, async (other) => {
        assert.equal(await other.result('version', null, { version }), version);
      }));
  }

  for (const [strategy, version] of [['Strict', '2.0.0'], ['Strict', ''], ['CurrentOrOlder', '1.0.1']]) {
    hub.test(`${strategy}: a worker of 1.0.0 fails ${version || 'no version'}`, () =>
      withWorker({ version: '1.0.0', matchStrategy: Match[strategy], failureStrategy: Failure.Fail }, async (other) => {
        const details = failure(await other.run('version', null, { version }));
        assert.equal(details.errorType, 'VersionMismatch');
        assert.match(details.message, /version/);
      }));
  }

  hub.test('what a worker rejects waits for one that takes it', () =>
    withWorker({ version: '1.0.0', matchStrategy: Match.Strict, failureStrategy: Failure.Reject }, async (other) => {
      const id = await other.start('version', null, { version: '2.0.0' });
      // The worker goes on with what it takes.
      assert.equal(await other.result('version', null, { version: '1.0.0' }), '1.0.0');
      assert.equal(status(await other.client.getOrchestrationState(id)), 'PENDING');
      await other.work({ versioning: { version: '2.0.0', matchStrategy: Match.Strict, failureStrategy: Failure.Reject } });
      assert.equal(output(await other.ended(id)), '2.0.0');
    }));
});
