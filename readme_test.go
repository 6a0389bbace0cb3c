package agentrun_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// block is a fenced block of the README.
type block struct {
	line       int
	kind, text string
	file       string // of the comment above it: the file that it shows
}

func blocks(t *testing.T) (all []block) {
	t.Helper()
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var cur *block
	file := ""
	for i, line := range strings.Split(string(b), "\n") {
		switch fence, ok := strings.CutPrefix(line, "```"); {
		case ok && cur == nil:
			cur = &block{line: i + 2, kind: fence, file: file}
			file = ""
		case ok:
			all = append(all, *cur)
			cur = nil
		case cur != nil:
			cur.text += line + "\n"
		case strings.HasPrefix(line, "<!-- file: "):
			file = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- file: "), " -->")
		}
	}
	return all
}

var endsWith = regexp.MustCompile(`# ends with (\d+)`)

// TestReadme runs every command of the README, in order, and compares every
// listing with what it shows: a file, or the output of the command before it. Only
// `make test` is left out, since that is what runs this.
func TestReadme(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the README's commands are for a Unix shell")
	}
	if testing.Short() {
		t.Skip("short: the README's commands take a while")
	}
	dir := t.TempDir()
	t.Cleanup(func() { _ = os.Remove("night.json") })
	var last bytes.Buffer
	ran := 0
	for _, b := range blocks(t) {
		switch b.kind {
		case "sh":
			if b.text == "make test\n" {
				continue
			}
			ran++
			want := 0
			if m := endsWith.FindStringSubmatch(b.text); m != nil {
				want, _ = strconv.Atoi(m[1])
			}
			last.Reset()
			cmd := exec.CommandContext(t.Context(), "bash", "-c", b.text)
			var errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &last, &errs
			cmd.Env = append(os.Environ(),
				"AGENTRUN_STORE=sqlite:"+filepath.Join(dir, "readme.db"),
				"AGENTRUN_INCIDENT_STATE="+filepath.Join(dir, "production"),
			)
			err := cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != want {
				t.Fatalf("README.md:%d: ended with %d (%v), not %d:\n%s%s%s", b.line, got, err, want, b.text, errs.String(), last.String())
			}
		case "text":
			if got := last.String(); got != b.text {
				t.Errorf("README.md:%d: shows\n%s\nbut the command printed\n%s", b.line, b.text, got)
			}
		case "go":
			got, err := os.ReadFile(b.file)
			if err != nil {
				t.Errorf("README.md:%d: %v", b.line, err)
			} else if string(got) != b.text {
				t.Errorf("README.md:%d: %s is another than what is shown", b.line, b.file)
			}
		default:
			t.Errorf("README.md:%d: nothing checks a block of kind %q", b.line, b.kind)
		}
	}
	if ran < 6 {
		t.Errorf("only %d blocks of commands were found", ran)
	}
}
