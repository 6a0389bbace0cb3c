// Task hubs share nothing.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Hub, call, code, output, pb, sdk, stub, text } from './hub.mjs';

Hub.suite(import.meta.url, (hub) => {
  const other = new Hub('other');
  for (const each of [hub, other]) {
    each.orchestration('where', async () => each.name);
    each.entity('Place', () => ({ run: (operation) => operation.state.setState(each.name) }));
    each.orchestration('visit', async function* (ctx) {
      yield ctx.entities.callEntity(new sdk.EntityInstanceId('Place', 'p'), 'go');
    });
  }
  const bare = stub();
  const in_ = (name, method, request) => call(bare, name, method, request);
  const start = (id) => {
    const request = new pb.CreateInstanceRequest();
    request.setInstanceid(id);
    request.setName('where');
    request.setInput(text('null'));
    return request;
  };
  const get = (id) => {
    const request = new pb.GetInstanceRequest();
    request.setInstanceid(id);
    return request;
  };

  hub.test('one id in two hubs is two instances', async () => {
    await other.open();
    try {
      await Promise.all([hub, other].map((each) => each.run('where', null, 'the same')));
      for (const each of [hub, other]) {
        assert.equal(output(await each.client.getOrchestrationState('the same')), each.name);
        await each.result('visit');
        assert.equal((await each.client.getEntity(new sdk.EntityInstanceId('Place', 'p'))).state, each.name);
      }
      assert.equal((await other.client.purgeOrchestration('the same')).deletedInstanceCount, 1);
      assert.equal(output(await hub.client.getOrchestrationState('the same')), hub.name);
    } finally {
      await other.close();
    }
  });

  hub.test('one that was not made is not there, and the error says how it is made', async () => {
    const name = `missing-${randomUUID().slice(0, 8)}`;
    for (const [method, request] of [['getInstance', get('x')], ['startInstance', start('x')], ['queryInstances', new pb.QueryInstancesRequest()]]) {
      await assert.rejects(in_(name, method, request), code('NOT_FOUND', new RegExp(`${name}.*create|create.*${name}`, 's')));
    }
  });

  hub.test('the hub default is always there, and is that of callers that name none', async () => {
    const id = `default-${randomUUID()}`;
    await in_(undefined, 'startInstance', start(id));
    assert.equal((await in_('default', 'getInstance', get(id))).getExists(), true);
    assert.equal((await hub.raw(id)), undefined);
  });

  hub.test('made, made again, deleted', async () => {
    const name = `made-${randomUUID().slice(0, 8)}`;
    const create = (again) => {
      const request = new pb.CreateTaskHubRequest();
      request.setRecreateifexists(again);
      return in_(name, 'createTaskHub', request);
    };
    await create(false);
    await in_(name, 'startInstance', start('x'));
    await assert.rejects(create(false), code('ALREADY_EXISTS'));
    assert.equal((await in_(name, 'getInstance', get('x'))).getExists(), true);
    await create(true);
    assert.equal((await in_(name, 'getInstance', get('x'))).getExists(), false);
    await in_(name, 'deleteTaskHub', new pb.DeleteTaskHubRequest());
    await assert.rejects(in_(name, 'getInstance', get('x')), code('NOT_FOUND'));
  });
});
