// How to reach the server, for the options of a client and of a worker.
import { Metadata } from '@grpc/grpc-js';

const { AGENTRUN_ADDRESS = 'localhost:8080', AGENTRUN_HUB = 'default', AGENTRUN_TOKEN } = process.env;

export const options = {
  hostAddress: AGENTRUN_ADDRESS,
  useTLS: AGENTRUN_TOKEN !== undefined, // a token does not cross a network in the clear
  metadataGenerator: async () => {
    const headers = new Metadata();
    headers.set('taskhub', AGENTRUN_HUB);
    if (AGENTRUN_TOKEN) headers.set('authorization', `Bearer ${AGENTRUN_TOKEN}`);
    return headers;
  },
};
