// Package worklist hands items that wait for somebody to those who can take them.
//
// A [List] has on one side items, each with a kind, a name and a version, and on the other sinks:
// whoever takes items, as many at once as it has said, of the names that it has said. What nobody
// can take waits. A sink asks with [Sink.Take] when it has nothing else to do; if nothing is there
// for it, it is told on [Sink.Ready] when something has come. So one that is slow holds up nobody:
// what it has not asked for goes to others. Nothing polls.
//
// # Order
//
// Among sinks, an item goes to the one that has the fewest of its kind under way, of several to the
// one that has waited longest. Among items, a sink gets the kinds by turns, within a kind the names
// and versions by turns, within those the higher priority first (but each of the lower ones is
// served too, in the end) and within a priority the instances by turns. So a fan-out of 100,000 does
// not delay a single item beside it.
//
// Putting an item in, taking one out and withdrawing one need time that does not grow with the
// number of items that wait.
package worklist
