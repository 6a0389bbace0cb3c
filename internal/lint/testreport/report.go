package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// beside is in the reason of every skip that is allowed: its data is no part of the checkout.
const beside = "../shared"

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string // of a package's fail: the ImportPath whose build failed
}

// skip is a test that did not run, and why.
type skip struct{ name, reason string }

// report gathers events. It keeps the output of a test only until the test passes.
type report struct {
	w       io.Writer
	module  string // left out of package names
	running map[string]*pkg
	builds  map[string]*strings.Builder // output of the compiler by ImportPath

	passed, failed int
	skips          []skip
}

// pkg is a package whose tests run. The output that belongs to no test has the name "".
type pkg struct {
	out     map[string]*strings.Builder // by test, those that have not ended
	failed  strings.Builder             // of all tests that failed, in their order
	tests   int
	fails   int
	skipped int
}

func newReport(w io.Writer) *report {
	return &report{w: w, running: map[string]*pkg{}, builds: map[string]*strings.Builder{}}
}

// read takes all events of a run. A line that is no event, such as an error of the go command, is
// written as it is.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n') // no limit: a test may print a long line
		if line = bytes.TrimSpace(line); len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(r.w, "%s\n", line)
			} else {
				r.add(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) add(e event) {
	if e.Package == "" {
		if e.Action == "build-output" {
			buffer(r.builds, e.ImportPath).WriteString(e.Output)
		}
		return
	}
	p := r.running[e.Package]
	if p == nil {
		p = &pkg{out: map[string]*strings.Builder{}}
		r.running[e.Package] = p
	}
	switch {
	case e.Action == "output":
		buffer(p.out, e.Test).WriteString(e.Output)
	case e.Action == "run":
		buffer(p.out, e.Test)
	case e.Test == "" && (e.Action == "pass" || e.Action == "fail" || e.Action == "skip"):
		r.endPackage(e, p)
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		r.endTest(e, p)
	}
}

func (r *report) endTest(e event, p *pkg) {
	out := buffer(p.out, e.Test).String()
	delete(p.out, e.Test)
	p.tests++
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		p.skipped++
		r.skips = append(r.skips, skip{name: r.name(e.Package) + " " + e.Test, reason: reason(out)})
	case "fail":
		r.failed++
		p.fails++
		p.failed.WriteString(out)
	}
}

func (r *report) endPackage(e event, p *pkg) {
	delete(r.running, e.Package)
	own := buffer(p.out, "").String()
	delete(p.out, "")
	name := r.name(e.Package)
	if e.Action != "fail" {
		switch {
		case p.tests == 0:
			fmt.Fprintf(r.w, "-     %s  no tests\n", name)
		case strings.Contains(own, "(cached)"):
			fmt.Fprintf(r.w, "ok    %s  %s, cached\n", name, p.count())
		default:
			fmt.Fprintf(r.w, "ok    %s  %s, %.1f s\n", name, p.count(), e.Elapsed)
		}
		return
	}
	r.abandon(p)
	if p.fails == 0 {
		r.failed++
	}
	fmt.Fprintf(r.w, "FAIL  %s  %s, %.1f s\n", name, p.count(), e.Elapsed)
	indent(r.w, p.failed.String())
	if b := r.builds[e.FailedBuild]; b != nil {
		indent(r.w, b.String())
	}
	indent(r.w, own)
}

// abandon makes a failure of every test that began and did not end.
func (r *report) abandon(p *pkg) {
	for _, test := range slices.Sorted(maps.Keys(p.out)) {
		r.failed++
		p.tests++
		p.fails++
		p.failed.WriteString(p.out[test].String())
		fmt.Fprintf(&p.failed, "--- did not end: %s\n", test)
	}
	clear(p.out)
}

// finish writes the end of the report, and says whether the run was good.
func (r *report) finish(strict bool) bool {
	for _, name := range slices.Sorted(maps.Keys(r.running)) {
		// Whatever ran go test was stopped, or its output was cut.
		r.abandon(r.running[name])
		r.failed++
		fmt.Fprintf(r.w, "FAIL  %s  did not end\n", r.name(name))
		indent(r.w, r.running[name].failed.String())
	}
	good := r.failed == 0
	if r.passed+r.failed == 0 {
		good = false
		fmt.Fprintln(r.w, "\nno test ran")
	}
	if len(r.skips) > 0 {
		fmt.Fprintln(r.w, "\nskipped:")
	}
	for _, s := range r.skips {
		fmt.Fprintf(r.w, "  %s: %s\n", s.name, s.reason)
	}
	if strict {
		if n := r.forbidden(); n > 0 {
			good = false
			fmt.Fprintf(r.w, "\n%d of these skips are errors here; only missing data of %s may be skipped\n", n, beside)
		}
	}
	fmt.Fprintf(r.w, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skips))
	return good
}

// forbidden counts the skips that -strict does not allow.
func (r *report) forbidden() int {
	n := 0
	for _, s := range r.skips {
		if !strings.Contains(s.reason, beside) {
			n++
		}
	}
	return n
}

// name is a package's path without the module's.
func (r *report) name(path string) string {
	if path == r.module {
		return "."
	}
	return strings.TrimPrefix(path, r.module+"/")
}

func (p *pkg) count() string {
	s := fmt.Sprintf("%d tests", p.tests)
	if p.tests == 1 {
		s = "1 test"
	}
	if p.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", p.skipped)
	}
	if p.fails > 0 {
		s += fmt.Sprintf(", %d failed", p.fails)
	}
	return s
}

// reason is what a skipped test said: its output without the lines of go test itself.
func reason(out string) string {
	var said []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, "; ")
}

// indent writes text under a package's line, without what that line says already.
func indent(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "FAIL" || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "=== ") {
			continue
		}
		fmt.Fprintf(w, "      %s\n", line)
	}
}

func buffer(m map[string]*strings.Builder, key string) *strings.Builder {
	b := m[key]
	if b == nil {
		b = &strings.Builder{}
		m[key] = b
	}
	return b
}
