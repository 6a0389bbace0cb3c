// Testreport reads what `go test -json` prints and writes what a person wants of it: a line for
// each package, the output of the tests that failed, and at the end the tests that were skipped,
// each with its reason. The last line is always
//
//	N passed, N failed, N skipped
//
// which counts tests and subtests. A package that fails without a failing test (it does not
// compile, it ran out of time) counts as one that failed; so does a test that never ended.
//
// It exits with 1 if anything failed and if no test ran at all. With -strict, a skip is a failure
// too, except for tests whose data lies beside the checkout: their reason names ../shared.
//
//	go test -json ./... | go run ./internal/lint/testreport -strict
//
// With -missing TEXT, a part of the whole run that could not be had is listed as skipped.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
)

func main() {
	strict := flag.Bool("strict", false, "make a skip an error, but for a reason that names "+beside)
	missing := flag.String("missing", "", "what the whole run does without; counts as a skip")
	flag.Parse()

	r := newReport(os.Stdout)
	if info, ok := debug.ReadBuildInfo(); ok {
		r.module = info.Main.Path
	}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport: read the events of go test:", err)
		os.Exit(1)
	}
	if *missing != "" {
		r.skips = append(r.skips, skip{name: "all packages", reason: *missing})
	}
	if !r.finish(*strict) {
		os.Exit(1)
	}
}
