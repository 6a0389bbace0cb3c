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
//
// # Changing what was said
//
// [EditMessage], [Redact] and [PinMessages] lay marks over the list, which stays as
// it is: each reader sees the edits, [Marks] tells who made them, and [Verify] that
// nothing else has changed. A redaction takes the content from the store with its last
// reference. [Delete] and [SetTTL] end a conversation, and [Import] and [DecodeOpenAI]
// make one of messages from elsewhere.
//
// # What a model is told
//
// A [View] says what of a conversation a model is told: a window, only some roles,
// others' answers as theirs where several agents share it, a summary in the place of the
// oldest part. [View.Plan] makes a view that fits a number of tokens, and gives the prompt
// where that needs a summary. People go on reading everything.
//
// Package memory/tokens counts tokens exactly, and memory/facts keeps what is to be known
// in later conversations.
package memory
