// A worker in JavaScript: an orchestration of two activities, and what a person decides between them.
import { TaskHubGrpcWorker } from '@microsoft/durabletask-js';
import { options } from './connect.mjs';

const worker = new TaskHubGrpcWorker(options);

worker.addNamedActivity('price', (_, order) => order.items * 12.5);
worker.addNamedActivity('ship', (_, order) => `${order.items} items are on their way to ${order.to}`);

worker.addNamedOrchestrator('order', async function* (ctx, order) {
  const price = yield ctx.callActivity('price', order);
  if (price > 100) {
    ctx.setCustomStatus(`waits for payment of ${price}`);
    yield ctx.waitForExternalEvent('paid');
  }
  return yield ctx.callActivity('ship', order);
});

await worker.start();
console.log('the worker has started');
