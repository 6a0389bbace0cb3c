// Package live carries what is worth seeing now and not worth keeping: the pieces of a model's answer
// as it is written, how far a tool has come, and that something was committed.
//
// A [Bus] is in memory. Messages have a topic, which in a task hub is the id of an instance; the last
// ones of each topic are kept for those who come later, within bounds. Whoever publishes never waits:
// a watch has no queue of its own but a place in each topic, and one that is too slow is told how many
// messages it has missed. Nothing here survives the process, and nobody may depend on it for more than
// speed and sight: what counts is in the history.
package live
