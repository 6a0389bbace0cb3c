package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReport has events as go test writes them, and what is made of them.
func TestReport(t *testing.T) {
	const (
		pass = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestOne"}
{"Action":"output","Package":"m/a","Test":"TestOne","Output":"chatter\n"}
{"Action":"pass","Package":"m/a","Test":"TestOne","Elapsed":0}
{"Action":"pass","Package":"m/a","Elapsed":1.5}
`
		skipHere = `{"Action":"run","Package":"m/b","Test":"TestAimock"}
{"Action":"output","Package":"m/b","Test":"TestAimock","Output":"=== RUN   TestAimock\n"}
{"Action":"output","Package":"m/b","Test":"TestAimock","Output":"    b_test.go:3: aimock is missing\n"}
{"Action":"output","Package":"m/b","Test":"TestAimock","Output":"--- SKIP: TestAimock (0.00s)\n"}
{"Action":"skip","Package":"m/b","Test":"TestAimock","Elapsed":0}
{"Action":"pass","Package":"m/b","Elapsed":0}
`
		skipBeside = `{"Action":"run","Package":"m/b","Test":"TestData"}
{"Action":"output","Package":"m/b","Test":"TestData","Output":"    b_test.go:3: no ../../shared/data\n"}
{"Action":"skip","Package":"m/b","Test":"TestData","Elapsed":0}
{"Action":"pass","Package":"m/b","Elapsed":0}
`
	)
	for _, test := range []struct {
		name   string
		in     string
		strict bool
		good   bool
		want   string // the whole report, if it begins with a line of it
	}{
		{name: "passed", in: pass, good: true, want: "ok    a  1 test, 1.5 s\n\n1 passed, 0 failed, 0 skipped\n"},
		{name: "a skip is named", in: pass + skipHere, good: true,
			want: "ok    a  1 test, 1.5 s\nok    b  1 test, 1 skipped, 0.0 s\n\nskipped:\n" +
				"  b TestAimock: b_test.go:3: aimock is missing\n\n1 passed, 0 failed, 1 skipped\n"},
		{name: "a skip is an error when strict", in: pass + skipHere, strict: true, good: false,
			want: "1 of these skips are errors here"},
		{name: "but not for data beside the checkout", in: pass + skipBeside, strict: true, good: true,
			want: "b TestData: b_test.go:3: no ../../shared/data\n\n1 passed, 0 failed, 1 skipped\n"},
		{name: "no test", in: `{"Action":"skip","Package":"m/a","Elapsed":0}`, good: false,
			want: "-     a  no tests\n\nno test ran\n\n0 passed, 0 failed, 0 skipped\n"},
		{name: "only skips", in: skipBeside, good: false, want: "no test ran"},
		{name: "nothing", in: "", good: false, want: "\nno test ran\n\n0 passed, 0 failed, 0 skipped\n"},
		{name: "a failed test shows its output and no other", good: false, in: pass + `
{"Action":"run","Package":"m","Test":"TestX"}
{"Action":"output","Package":"m","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"m","Test":"TestX","Output":"    x_test.go:1: no\n"}
{"Action":"fail","Package":"m","Test":"TestX","Elapsed":0}
{"Action":"output","Package":"m","Output":"FAIL\tm\t0.1s\n"}
{"Action":"fail","Package":"m","Elapsed":0.1}`,
			want: "ok    a  1 test, 1.5 s\nFAIL  .  1 test, 1 failed, 0.1 s\n          x_test.go:1: no\n\n1 passed, 1 failed, 0 skipped\n"},
		{name: "a build that fails", good: false, in: pass + `
{"ImportPath":"m/c [m/c.test]","Action":"build-output","Output":"c.go:1:1: syntax error\n"}
{"ImportPath":"m/c [m/c.test]","Action":"build-fail"}
{"Action":"fail","Package":"m/c","Elapsed":0,"FailedBuild":"m/c [m/c.test]"}`,
			want: "FAIL  c  0 tests, 0.0 s\n      c.go:1:1: syntax error\n\n1 passed, 1 failed, 0 skipped\n"},
		{name: "a test that the timeout ends", good: false, in: `
{"Action":"run","Package":"m/c","Test":"TestSlow"}
{"Action":"output","Package":"m/c","Test":"TestSlow","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"m/c","Elapsed":600}`,
			want: "FAIL  c  1 test, 1 failed, 600.0 s\n      panic: test timed out\n      --- did not end: TestSlow\n\n0 passed, 1 failed, 0 skipped\n"},
		{name: "a run that is cut off", good: false, in: pass + `{"Action":"start","Package":"m/z"}`,
			want: "FAIL  z  did not end\n\n1 passed, 1 failed, 0 skipped\n"},
		{name: "a line that is no event", good: true, in: "go: warning\n" + pass,
			want: "go: warning\nok    a  1 test, 1.5 s\n\n1 passed, 0 failed, 0 skipped\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			r.module = "m"
			if err := r.read(strings.NewReader(test.in)); err != nil {
				t.Fatal(err)
			}
			if good := r.finish(test.strict); good != test.good {
				t.Errorf("good = %v, want %v", good, test.good)
			}
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("report:\n%swant in it:\n%s", out.String(), test.want)
			}
		})
	}
}

// TestGoTest runs the real go test on a module that has a bit of everything, so that the events
// above are not only what we believe of it.
func TestGoTest(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":            "module example.com/m\n\ngo 1.26.0\n",
		"good/good_test.go": "package good\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\nfunc TestSkip(t *testing.T) { t.Skip(\"not today\") }\n",
		"bad/bad_test.go":   "package bad\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { t.Error(\"it is bad\") }\n",
		"broken/broken.go":  "package broken\n\nvar x int = \"\"\n",
		"broken/b_test.go":  "package broken\n\nimport \"testing\"\n\nfunc TestNever(t *testing.T) {}\n",
		"panics/p_test.go":  "package panics\n\nimport \"testing\"\n\nfunc TestPanic(t *testing.T) { panic(\"oh\") }\n",
		"none/none.go":      "package none\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-json", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	events, err := cmd.Output()
	if _, ok := err.(*exec.ExitError); !ok {
		t.Fatalf("go test: %v, want that tests failed", err)
	}

	var out strings.Builder
	r := newReport(&out)
	r.module = "example.com/m"
	if err := r.read(strings.NewReader(string(events))); err != nil {
		t.Fatal(err)
	}
	if r.finish(false) {
		t.Error("the report calls the run good")
	}
	for _, want := range []string{
		"ok    good  2 tests, 1 skipped", "FAIL  bad  1 test, 1 failed", "it is bad", "FAIL  broken",
		"cannot use", "FAIL  panics", "panic: oh", "-     none  no tests", "good TestSkip: good_test.go:6: not today",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the report", want)
		}
	}
	if last := "\n1 passed, 3 failed, 1 skipped\n"; !strings.HasSuffix(out.String(), last) {
		t.Errorf("the report does not end with %q", last)
	}
	if t.Failed() {
		t.Log(out.String())
	}
}
