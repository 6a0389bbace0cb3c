// Package cli is the agentrun command line: the verbs that the bare command and
// every program that calls agentrun.Main have.
//
// Each verb is in a file of its own and is made by a method of app, which holds
// what they share: the program's definitions, the store and the form of output.
// Results go to standard output; progress, notes and errors go to standard error,
// which is plain text unless it is a terminal. What an error means for the exit
// code is decided in exit.go and nowhere else.
//
// # Where code runs
//
// run and resume open the store as its one writer and run definitions. A bare
// agentrun has none of its own: for a directory with a Go main package it builds
// that program and becomes it (program.go, become_*.go), and the program then
// sees the same arguments. All other verbs are short: they reach the store
// through the process that holds it, or open it for one read or one commit.
package cli
