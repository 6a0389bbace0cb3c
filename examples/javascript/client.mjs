// A client in JavaScript: it starts an order, pays it, and waits for its end.
import { NoOpLogger, TaskHubGrpcClient } from '@microsoft/durabletask-js';
import { options } from './connect.mjs';

const client = new TaskHubGrpcClient({ ...options, logger: new NoOpLogger() });
const id = await client.scheduleNewOrchestration('order', { items: 10, to: 'Oslo' });
await client.raiseOrchestrationEvent(id, 'paid', { by: 'card' });
const run = await client.waitForOrchestrationCompletion(id);
console.log(JSON.parse(run.serializedOutput));
await client.stop();
