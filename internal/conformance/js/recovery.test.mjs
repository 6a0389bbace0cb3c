// A server that is killed and comes back finds its workers and instances again.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Hub, gate, output, sdk, until } from './hub.mjs';

const { EntityInstanceId, TaskEntity } = sdk;

class Counter extends TaskEntity {
  add(n) {
    return (this.state += n);
  }
  initializeState() {
    return 0;
  }
}

// serve starts a server that a test may kill.
async function serve(store, grpc = '127.0.0.1:0') {
  const command = process.env.AGENTRUN_COMMAND;
  assert.ok(command, 'AGENTRUN_COMMAND is the program that serves');
  const server = spawn(command, ['serve', '--grpc', grpc, '--http', '127.0.0.1:0', '--store', store, '-o', 'json'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [line] = await once(createInterface({ input: server.stdout }), 'line');
  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill('SIGKILL');
    await once(server, 'exit');
  };
  return { endpoint: JSON.parse(line).grpc, kill };
}

Hub.suite(import.meta.url, (suite) => {
  suite.test('a server that is killed under work', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'agentrun-'));
    const store = `sqlite:${join(directory, 'hub.db')}`;
    let server = await serve(store);
    const hub = new Hub('recovery', { endpoint: server.endpoint });
    const { opened: begun, open: begin } = gate();
    const { opened: released, open: release } = gate();
    hub.activity('one', () => 1);
    hub.activity('long', async () => {
      begin();
      await released;
      return 1;
    });
    hub.entity('Counter', () => new Counter());
    hub.orchestration('work', async function* (ctx, key) {
      const counter = new EntityInstanceId('Counter', key);
      let n = yield ctx.callActivity('one');
      n += yield ctx.entities.callEntity(counter, 'add', 1);
      n += yield ctx.waitForExternalEvent('go');
      yield ctx.createTimer(0.1);
      return n + (yield ctx.entities.callEntity(counter, 'add', 1));
    });
    hub.orchestration('long', async function* (ctx) {
      return yield ctx.callActivity('long');
    });
    try {
      await hub.open();
      const ids = await Promise.all(Array.from({ length: 10 }, (_, i) => hub.start('work', `key ${i}`)));
      const long = await hub.start('long');
      for (const id of ids) await hub.started(id);
      await begun;
      await server.kill();
      release(); // its answer finds nobody, so it runs again
      server = await serve(store, server.endpoint);
      for (const id of ids) {
        await until('the server takes calls', () => hub.client.raiseOrchestrationEvent(id, 'go', 1).then(() => true, () => false));
      }
      for (const id of ids) assert.equal(output(await hub.ended(id)), 5);
      assert.equal(output(await hub.ended(long)), 1);
    } finally {
      await hub.close();
      await server.kill();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
