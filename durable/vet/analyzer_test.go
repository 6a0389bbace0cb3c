package vet_test

import (
	"testing"

	"golang.org/x/tools/go/analysis/analysistest"

	"github.com/agentrun-dev/agentrun/durable/vet"
)

// TestRules runs the analyzer on packages that say what it must find, and that it must find
// nothing else: each rule and what is none, chains through packages, allow lines.
func TestRules(t *testing.T) {
	var packages []string
	for _, name := range []string{"rules", "roots", "rates", "chains", "settings", "globals", "maporder", "allowed", "untested"} {
		packages = append(packages, "example.com/"+name)
	}
	analysistest.Run(t, analysistest.TestData(), vet.Analyzer, packages...)
}

func TestFixes(t *testing.T) {
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), vet.Analyzer, "example.com/fixes")
}

// TestTestFiles finds in test files only what it is asked for there.
func TestTestFiles(t *testing.T) {
	set := func(value string) {
		if err := vet.Analyzer.Flags.Set("tests", value); err != nil {
			t.Fatal(err)
		}
	}
	set("true")
	defer set("false")
	analysistest.Run(t, analysistest.TestData(), vet.Analyzer, "example.com/tested")
}
