// Finding instances.

import assert from 'node:assert/strict';
import { Hub, Status, output, pb, text } from './hub.mjs';

Hub.suite(import.meta.url, (hub) => {
  hub.orchestration('echo', async (_, value) => ({ received: value }));
  hub.orchestration('wait', async function* (ctx) {
    return yield ctx.waitForExternalEvent('go');
  });
  hub.orchestration('fail', async () => {
    throw new Error('no');
  });

  const all = async (pageable) => {
    const found = [];
    for await (const item of pageable) found.push(item);
    return found;
  };
  const ids = async (filter) => (await all(hub.client.getAllInstances(filter))).map((state) => state.instanceId).toSorted();
  // group runs n instances whose ids begin alike.
  const group = async (prefix, n) => {
    const names = Array.from({ length: n }, (_, i) => `${prefix}${i}`);
    await Promise.all(names.map((id) => hub.run('echo', { n: id }, id)));
    return names;
  };

  hub.test('all instances, without a filter', async () => {
    const wanted = await group('all-', 3);
    const found = await ids();
    for (const id of wanted) assert.ok(found.includes(id));
  });

  hub.test('by prefix of the id, letter by letter', async () => {
    const wanted = await group('pre%_', 2);
    await group('preXX', 1);
    assert.deepEqual(await ids({ instanceIdPrefix: 'pre%_' }), wanted);
    assert.deepEqual(await ids({ instanceIdPrefix: 'no such prefix' }), []);
  });

  hub.test('by status', async () => {
    await hub.start('wait', null, 'status-running');
    await hub.started('status-running');
    await hub.run('echo', 1, 'status-completed');
    await hub.run('fail', 1, 'status-failed');
    const find = (...statuses) => ids({ statuses, instanceIdPrefix: 'status-' });
    assert.deepEqual(await find(Status.RUNNING), ['status-running']);
    assert.deepEqual(await find(Status.COMPLETED), ['status-completed']);
    assert.deepEqual(await find(Status.FAILED, Status.RUNNING), ['status-failed', 'status-running']);
    assert.deepEqual(await find(), ['status-completed', 'status-failed', 'status-running']);
    const failed = await all(hub.client.getAllInstances({ instanceIdPrefix: 'status-failed' }));
    assert.equal(failed[0].failureDetails.message, 'no');
  });

  hub.test('in pages', async () => {
    const wanted = await group('page-', 5);
    const pages = await all(hub.client.getAllInstances({ instanceIdPrefix: 'page-', pageSize: 2 }).asPages());
    assert.deepEqual(pages.map((page) => page.values.length), [2, 2, 1]);
    assert.deepEqual(pages.flatMap((page) => page.values.map((state) => state.instanceId)).toSorted(), wanted);
    assert.equal(pages.at(-1).continuationToken, undefined);
  });

  hub.test('a page size that divides the number', async () => {
    const wanted = await group('even-', 4);
    const pages = await all(hub.client.getAllInstances({ instanceIdPrefix: 'even-', pageSize: 2 }).asPages());
    assert.deepEqual(pages.flatMap((page) => page.values.map((state) => state.instanceId)).toSorted(), wanted);
    assert.ok(pages.length <= 3);
  });

  hub.test('with and without payloads', async () => {
    const [id] = await group('payload-', 1);
    const [full] = await all(hub.client.getAllInstances({ instanceIdPrefix: id, fetchInputsAndOutputs: true }));
    assert.deepEqual([full.serializedInput, output(full)], [`{"n":"${id}"}`, { received: { n: id } }]);
    const request = new pb.QueryInstancesRequest();
    const query = new pb.InstanceQuery();
    query.setInstanceidprefix(text(id));
    request.setQuery(query);
    const [bare] = (await hub.rpc('queryInstances', request)).getOrchestrationstateList();
    assert.deepEqual([bare.getInput(), bare.getOutput()], [undefined, undefined]);
  });

  hub.test('by time of creation', async () => {
    const [id] = await group('time-', 1);
    const created = (await hub.client.getOrchestrationState(id)).createdAt.getTime();
    const find = (from, to) => ids({ createdFrom: new Date(created + from), createdTo: new Date(created + to), instanceIdPrefix: 'time-' });
    assert.deepEqual(await find(-60_000, 60_000), [id]);
    assert.deepEqual(await find(-60_000, -1), []);
    assert.deepEqual(await find(1000, 60_000), []);
  });

  // listed gives the ids of instances that have ended, page by page.
  const listed = async (options) => {
    const found = [];
    let lastInstanceKey;
    do {
      const page = await hub.client.listInstanceIds({ ...options, lastInstanceKey });
      if (options.pageSize !== undefined) assert.ok(page.values.length <= options.pageSize);
      found.push(...page.values);
      lastInstanceKey = page.continuationToken;
    } while (lastInstanceKey);
    return found;
  };

  hub.test('ids of those that have ended, in the order in which they ended', async () => {
    const wanted = [];
    for (let i = 0; i < 5; i++) wanted.push(...(await group(`list-${4 - i}-`, 1)));
    await hub.start('wait', null, 'list-running');
    await hub.started('list-running');
    for (const pageSize of [undefined, 1, 2, 3]) {
      const found = await listed({ runtimeStatus: [Status.COMPLETED], pageSize });
      assert.equal(new Set(found).size, found.length);
      assert.deepEqual(found.filter((id) => id.startsWith('list-')), wanted);
    }
  });

  hub.test('ids by status and by time of their end', async () => {
    const from = new Date(Date.now() - 60_000);
    await hub.run('fail', 1, 'ended-failed');
    await hub.run('echo', 1, 'ended-completed');
    const to = new Date(Date.now() + 60_000);
    const find = async (options) => (await listed(options)).filter((id) => id.startsWith('ended-')).toSorted();
    assert.deepEqual(await find({ runtimeStatus: [Status.FAILED], completedTimeFrom: from, completedTimeTo: to }), ['ended-failed']);
    assert.deepEqual(await find({ completedTimeFrom: from, completedTimeTo: to }), ['ended-completed', 'ended-failed']);
    assert.deepEqual(await find({ completedTimeTo: from }), []);
    assert.deepEqual(await find({ completedTimeFrom: to }), []);
  });
});
