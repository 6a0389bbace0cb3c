// A task hub of the server under test, and the JavaScript that lives in it.
//
// The server is the one that AGENTRUN_ENDPOINT names (host:port). Each Hub makes a hub of its own, so
// files run beside each other. AGENTRUN_OTEL=1 loads OpenTelemetry; otherwise it is hidden, as on a machine
// where it is not installed.

import { describe, test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import Module, { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);

export const withTelemetry = process.env.AGENTRUN_OTEL === '1';
if (!withTelemetry) {
  const resolve = Module._resolveFilename;
  Module._resolveFilename = function (request, ...rest) {
    if (request.startsWith('@opentelemetry/')) {
      throw Object.assign(new Error(`Cannot find module '${request}'`), { code: 'MODULE_NOT_FOUND' });
    }
    return resolve.call(this, request, ...rest);
  };
}

// Spans of this process that have ended, where OpenTelemetry is there.
export const spans = withTelemetry ? collectSpans() : () => [];

function collectSpans() {
  const { trace } = require('@opentelemetry/api');
  const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base');
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  return () => exporter.getFinishedSpans();
}

export const grpc = require('@grpc/grpc-js');
export const sdk = require('@microsoft/durabletask-js');
export const pb = require('@microsoft/durabletask-js/dist/proto/orchestrator_service_pb');
const service = require('@microsoft/durabletask-js/dist/proto/orchestrator_service_grpc_pb');
const { StringValue } = require('google-protobuf/google/protobuf/wrappers_pb');
const { Timestamp } = require('google-protobuf/google/protobuf/timestamp_pb');
export const { Empty } = require('google-protobuf/google/protobuf/empty_pb');

export const Status = sdk.OrchestrationStatus;
export const ProtoStatus = sdk.ProtoOrchestrationStatus;

const server = process.env.AGENTRUN_ENDPOINT;
assert.ok(server, 'AGENTRUN_ENDPOINT names the server under test');

// Seconds after which a wait for something that should happen at once has failed.
export const patience = 30;

// text wraps a string as the protocol does where absent and empty differ.
export function text(value) {
  const wrapped = new StringValue();
  wrapped.setValue(value);
  return wrapped;
}

// when wraps a Date.
export function when(date) {
  const stamp = new Timestamp();
  stamp.fromDate(date);
  return stamp;
}

// until asks again until the answer is not falsy, for what the protocol has no call to wait for.
export async function until(what, ask) {
  const end = Date.now() + patience * 1000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < end, `${what}: not within ${patience} s`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// gate is a promise and the function that resolves it.
export function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { opened, open };
}

// metadata makes the headers of a call: with the hub's name, or without.
function metadata(hub, extra = {}) {
  const headers = new grpc.Metadata();
  if (hub !== undefined) headers.set('taskhub', hub);
  for (const [key, value] of Object.entries(extra)) headers.set(key, value);
  return headers;
}

// stub is a client of the bare protocol.
export function stub(endpoint = server) {
  return new service.TaskHubSidecarServiceClient(endpoint, grpc.credentials.createInsecure());
}

// call makes a unary call of the bare protocol.
export function call(client, hub, method, request) {
  return new Promise((resolve, reject) => {
    client[method](request, metadata(hub), (error, response) => (error ? reject(error) : resolve(response)));
  });
}

// Calls are those under way: a client that has given up waiting leaves them open, and they would keep the
// process alive.
class Calls {
  #open = new Set();

  interceptor = (options, next) => {
    const call = new grpc.InterceptingCall(next(options), {
      start: (metadata, listener, next) => {
        this.#open.add(call);
        next(metadata, {
          onReceiveStatus: (status, next) => {
            this.#open.delete(call);
            next(status);
          },
        });
      },
    });
    return call;
  };

  cancel() {
    for (const call of this.#open) call.cancelWithStatus(grpc.status.CANCELLED, 'the test is over');
  }
}

// Hub is a task hub with its definitions, a worker that has them, and a client.
export class Hub {
  // suite gathers the tests of the program at url, which run side by side with one worker. It has the
  // name of the program, see reporter.mjs.
  static suite(url, define) {
    const name = basename(fileURLToPath(url), '.test.mjs');
    const hub = new Hub(name);
    describe(name, { concurrency: true, timeout: 4 * patience * 1000 }, () => {
      before(() => hub.open());
      define(hub);
      after(() => hub.close());
    });
  }

  // Options are those of the SDK's workers, and the endpoint of another server.
  constructor(name, { endpoint = server, ...workerOptions } = {}) {
    this.endpoint = endpoint;
    this.name = `${name}-${randomUUID().slice(0, 8)}`;
    this.workerOptions = workerOptions;
    this.orchestrations = new Map();
    this.activities = new Map();
    this.entities = new Map();
    this.workers = [];
    this.clients = [];
    this.calls = new Calls();
    this.stub = stub(endpoint);
  }

  orchestration(name, body) {
    this.orchestrations.set(name, body);
  }

  activity(name, body) {
    this.activities.set(name, body);
  }

  entity(name, factory) {
    this.entities.set(name, factory);
  }

  test(name, body) {
    test(name, { timeout: 2 * patience * 1000 }, body);
  }

  // open creates the hub, and starts a worker with all definitions.
  async open() {
    await this.create();
    await this.work();
  }

  // create creates the hub, without a worker.
  async create() {
    await this.rpc('createTaskHub', new pb.CreateTaskHubRequest());
    this.client = this.newClient();
  }

  // newClient makes a client, with options of the SDK.
  newClient(options = {}) {
    const client = new sdk.TaskHubGrpcClient({
      hostAddress: this.endpoint,
      metadataGenerator: async () => metadata(this.name),
      logger: new sdk.NoOpLogger(),
      ...options,
      options: { ...options.options, interceptors: [this.calls.interceptor] },
    });
    this.clients.push(client);
    return client;
  }

  // work starts a worker. Definitions are the hub's, or those that only names.
  async work(options = {}, only = undefined) {
    const worker = new sdk.TaskHubGrpcWorker({
      hostAddress: this.endpoint,
      metadataGenerator: async () => metadata(this.name, { workerid: `node,${process.pid},${randomUUID()}` }),
      logger: new sdk.NoOpLogger(),
      ...this.workerOptions,
      ...options,
    });
    const wanted = (name) => only === undefined || only.includes(name);
    for (const [name, body] of this.orchestrations) if (wanted(name)) worker.addNamedOrchestrator(name, body);
    for (const [name, body] of this.activities) if (wanted(name)) worker.addNamedActivity(name, body);
    for (const [name, factory] of this.entities) if (wanted(name)) worker.addNamedEntity(name, factory);
    await worker.start();
    this.workers.push(worker);
    return worker;
  }

  // rest stops a worker before the others.
  async rest(worker) {
    this.workers = this.workers.filter((other) => other !== worker);
    await worker.stop();
  }

  // close stops all at once: each waits a second for its channel.
  async close() {
    this.calls.cancel();
    this.stub.close();
    await Promise.all([...this.workers, ...this.clients].map((part) => part.stop()));
  }

  // rpc makes a unary call of the bare protocol in this hub.
  rpc(method, request) {
    return call(this.stub, this.name, method, request);
  }

  // stream makes a call of the bare protocol that gives a stream, and gathers it.
  stream(method, request) {
    return new Promise((resolve, reject) => {
      const messages = [];
      this.stub[method](request, metadata(this.name))
        .on('data', (message) => messages.push(message))
        .on('error', reject)
        .on('end', () => resolve(messages));
    });
  }

  start(name, input, options) {
    return this.client.scheduleNewOrchestration(name, input, options);
  }

  // started waits until an instance is no longer pending.
  started(id) {
    return this.client.waitForOrchestrationStart(id, true, patience);
  }

  // ended waits for the end of an instance.
  ended(id) {
    return this.client.waitForOrchestrationCompletion(id, true, patience);
  }

  // run starts an orchestration, waits for its end, and gives its state.
  async run(name, input, options) {
    return this.ended(await this.start(name, input, options));
  }

  // result runs an orchestration that must complete, and gives its output.
  async result(name, input, options) {
    return output(await this.run(name, input, options));
  }

  // raw is an instance's state as the protocol has it, or undefined.
  async raw(id) {
    const request = new pb.GetInstanceRequest();
    request.setInstanceid(id);
    request.setGetinputsandoutputs(true);
    const response = await this.rpc('getInstance', request);
    return response.getExists() ? response.getOrchestrationstate() : undefined;
  }

  history(id) {
    return this.client.getOrchestrationHistory(id);
  }

  // settled waits until an instance has a status.
  settled(id, status) {
    return until(`${id} has status ${Status[status]}`, async () => {
      const state = await this.client.getOrchestrationState(id);
      return state?.runtimeStatus === status ? state : undefined;
    });
  }
}

// output is the result of an instance that completed.
export function output(state) {
  assert.equal(status(state), 'COMPLETED', state?.failureDetails?.message);
  return state.serializedOutput === undefined ? undefined : JSON.parse(state.serializedOutput);
}

// failure is the failure of an instance that failed.
export function failure(state) {
  assert.equal(status(state), 'FAILED', state?.serializedOutput);
  return state.failureDetails;
}

// status is the name of an instance's status.
export function status(state) {
  assert.ok(state, 'there is no such instance');
  return Status[state.runtimeStatus];
}

// code is a matcher for assert.rejects: an error of gRPC with a code.
export function code(name, message = /./) {
  return (error) => {
    const status = error.code === undefined ? error.cause : error;
    assert.equal(grpc.status[status?.code], name, error.message);
    assert.match(error.message, message);
    return true;
  };
}
