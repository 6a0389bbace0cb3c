// Command durablevet is a tool for go vet that finds code which makes a replay of an
// orchestration differ:
//
//	go get -tool github.com/agentrun-dev/agentrun/cmd/durablevet
//	go vet -vettool=$(go tool -n durablevet) ./...
//
// Package durable/vet says what it finds. The agentrun command has the same as its verb
// vet; this one is small, for programs that use package durable alone.
package main

import (
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/agentrun-dev/agentrun/durable/vet"
)

func main() { unitchecker.Main(vet.Analyzer) }
