// Turns of an agent in LangGraph.js on its SQLite checkpointer, to be set beside BenchmarkTurns
// of package agents: the same messages, the same window, the same durability.
//
//	cp -r internal/bench/langgraph /tmp/langgraph && cd /tmp/langgraph && npm ci
//	node turns.mjs [--keep] [--turns 10,100,1000] [--dir DIRECTORY]
//
// It is started by hand only: better-sqlite3 is compiled when it is installed.
//
// A turn is two nodes: the model, which answers at once with 1 KiB and a call of a tool, and the
// tool, which answers with another 1 KiB. Both are plain functions, so that nothing but the
// framework is measured. A checkpoint is written after each node (durability "sync") and synced at
// its commit (synchronous=FULL; the checkpointer leaves NORMAL, which does not sync). The last turn
// is an answer without a call.
//
// The graph's state is the conversation, as LangGraph's documentation has it, and each checkpoint
// holds all of it. With --keep all but the last messages are taken out of the state after each turn,
// so that checkpoints stay small: what a program does that needs no more of the conversation than
// its model is sent.
//
// It prints a line of JSON for each number of turns: turns, usPerTurn, diskBytesPerTurn (pages of
// the database in use, less those before). A run of 100 turns comes first, so that the log has
// grown and all code has run.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AIMessage, HumanMessage, RemoveMessage, ToolMessage } from '@langchain/core/messages';
import { END, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite';

const { values: flags } = parseArgs({
  options: {
    keep: { type: 'boolean', default: false },
    turns: { type: 'string', default: '10,100,1000' },
    dir: { type: 'string', default: tmpdir() },
  },
});

const sent = 20; // messages that the model is sent
const kept = sent + 2; // with --keep; more than that, and the oldest pair goes
const warmTurns = 100;

// filler is text that neither repeats nor needs to be escaped.
let seed = 12345;
const filler = Array.from({ length: 1024 }, () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return 'abcdefghijklmnopqrstuvwxyz      '[(seed >>> 24) & 31];
}).join('');
const text = (run, n) => (`${run} ${n} ` + filler).slice(0, 1024);
const parse = (s) => s.split(' ', 2).map(Number);

function model({ messages }) {
  const window = messages.slice(-sent);
  const [run, of] = parse(messages[0].content);
  const last = window[window.length - 1];
  const n = last.getType() === 'tool' ? parse(last.content)[1] + 1 : 1;
  const calls = n < of ? [{ id: 'call', name: 'speak', args: { run, n } }] : [];
  return { messages: [new AIMessage({ content: text(run, n), tool_calls: calls })] };
}

function tool({ messages }) {
  const [call] = messages[messages.length - 1].tool_calls;
  const out = [new ToolMessage({ content: text(call.args.run, call.args.n), tool_call_id: call.id, name: call.name })];
  if (flags.keep && messages.length >= kept) {
    out.push(...messages.slice(1, 3).map((m) => new RemoveMessage({ id: m.id }))); // all but the question
  }
  return { messages: out };
}

const dir = mkdtempSync(join(flags.dir, 'langgraph-'));
const saver = SqliteSaver.fromConnString(join(dir, 'checkpoints.db'));
saver.setup();
saver.db.pragma('synchronous = FULL');
const graph = new StateGraph(MessagesAnnotation)
  .addNode('model', model)
  .addNode('tool', tool)
  .addEdge(START, 'model')
  .addConditionalEdges('model', ({ messages }) => (messages[messages.length - 1].tool_calls.length > 0 ? 'tool' : END))
  .addEdge('tool', 'model')
  .compile({ checkpointer: saver });

function bytesInUse() {
  const pragma = (name) => saver.db.pragma(name, { simple: true });
  return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size');
}

let runs = 0;
async function run(turns) {
  const id = String(++runs);
  const out = await graph.invoke(
    { messages: [new HumanMessage(text(id, turns))] },
    { configurable: { thread_id: id }, recursionLimit: 2 * turns + 5, durability: 'sync' },
  );
  const last = out.messages[out.messages.length - 1];
  if (last.content !== text(id, turns)) {
    throw new Error(`run ${id} ends with ${last.content.slice(0, 20)}`);
  }
}

try {
  for (const name of ['synchronous', 'journal_mode']) {
    console.error(name, saver.db.pragma(name, { simple: true }));
  }
  await run(warmTurns);
  for (const turns of flags.turns.split(',').map(Number)) {
    const before = bytesInUse();
    const began = performance.now();
    await run(turns);
    const took = performance.now() - began;
    console.log(
      JSON.stringify({
        turns,
        keep: flags.keep,
        usPerTurn: Math.round((took * 1000) / turns),
        diskBytesPerTurn: Math.round((bytesInUse() - before) / turns),
      }),
    );
  }
} finally {
  saver.db.close();
  rmSync(dir, { recursive: true });
}
