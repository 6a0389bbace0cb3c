// Package memory keeps conversations in durable entities.
//
// A conversation is a persistent list. Each message is a payload of its own,
// stored once by the hash of its content. A [Chunk] is a payload too: it names
// some messages and the chunk before it. The entity's state is no more than the
// head of that list and its length, so it is as small after 10,000 turns as after
// one; appending writes the new messages and one small chunk. A fork shares every
// chunk with what it was forked from.
//
// A [Head] is a value that can be passed on, stored and read for ever: it names
// the conversation as it was when it was taken.
//
//	head, err := memory.Append.Call(ctx, "support-42", memory.Entry{Messages: refs})
//	…
//	for m, err := range memory.Read(load, head, 0) { … }
package memory
