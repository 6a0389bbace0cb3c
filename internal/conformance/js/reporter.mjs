// Reports tests as JSON, a line for each that ended and for each piece of output, as node_test.go reads them.

import { basename } from 'node:path';
import { inspect } from 'node:util';

const program = (name) => basename(name, '.test.mjs');

export default async function* (source) {
  // The runner reports program after program; each is one suite, which has the program's name.
  let current = '';
  for await (const { type, data } of source) {
    switch (type) {
      case 'test:start':
        if (data.nesting === 0) current = program(data.name);
        break;
      case 'test:pass':
      case 'test:fail': {
        const ok = type === 'test:pass';
        const { error, duration_ms: ms = 0 } = data.details ?? {};
        const whole = data.nesting === 0;
        // A program as a whole is news only if it failed by itself.
        if (whole && (ok || error?.failureType === 'subtestsFailed')) break;
        const skip = data.skip !== undefined;
        const problem = ok ? data.skip || '' : describe(error);
        yield line({ program: current, test: whole ? 'program' : data.name, ok, skip, ms, problem });
        break;
      }
      case 'test:stdout':
      case 'test:stderr':
        yield line({ program: program(data.file), output: data.message });
        break;
    }
  }
}

const line = (event) => JSON.stringify(event) + '\n';

// describe shows an error without what the runner wraps it in.
function describe(error) {
  const cause = error?.code === 'ERR_TEST_FAILURE' && error.cause ? error.cause : error;
  return typeof cause === 'string' ? cause : inspect(cause, { depth: 4 });
}
