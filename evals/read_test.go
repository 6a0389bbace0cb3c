package evals_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/evals"
)

// replaced changes the first occurrence of a text, which must be there.
func replaced(t *testing.T, text []byte, old, changed string) []byte {
	t.Helper()
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("the recording has no %q", old)
	}
	return bytes.Replace(text, []byte(old), []byte(changed), 1)
}

func TestDamaged(t *testing.T) {
	whole := recordedTeam(t)
	change := func(old, changed string) []byte { return replaced(t, whole, old, changed) }
	for _, test := range []struct {
		name string
		text []byte
		want string
	}{
		{"empty", nil, "line 1: this is no recording"},
		{"another file", []byte("version: 1\n"), "line 1: this is no recording"},
		{"a list", []byte("[]"), "this is no recording"},
		{"an empty object", []byte("{}"), `line 1: the key "version" is missing`},
		{"cut off", whole[:len(whole)/2], "the file ends too early; it is cut off"},
		{"cut off at the end", whole[:len(whole)-3], "the file ends too early; it is cut off"},
		{"version 2", change(`"version": 1`, `"version": 2`), "line 2: version: version 2 is not one that this program reads, which is 1"},
		{"version 2 and more", []byte(`{"version": 2, "new": true}`), "version 2 is not one"},
		{"no version", change(`"version": 1,`, ""), `line 3: root: a recording begins with its version`},
		{"no number", change(`"version": 1`, `"version": "1"`), "line 2: version: cannot unmarshal string"},
		{"null", change(`"root": "run-1"`, `"root": null`), "line 3: root: here must be a value, not null"},
		{"unknown key", change(`"root":`, `"roots":`), `line 3: unknown key "roots"; the keys here are version, root,`},
		{"unknown key of an instance", change(`"executions":`, `"runs":`), `instances[0]: unknown key "runs"`},
		{"unknown key of an event", change(`"kind":`, `"kinds":`), `instances[0].executions[0].events[0]: unknown field "kinds"`},
		{"unknown kind", change(`"kind": "OrchestratorStarted"`, `"kind": "Orch"`), `events[0]: history: no event kind is named "Orch"`},
		{"unknown status", change(`"status": "completed"`, `"status": "done"`), `instances[0].status: history: no status is named "done"`},
		{"key twice", change(`"root": "run-1"`, `"root": "run-1", "root": "run-1"`), `the key "root" is there twice`},
		{"changed payload", change(`\"content\":\"p99 is 4 s`, `\"content\":\"p99 is 5 s`), "it was changed, export the run again"},
		{"wrong hash", change(`"hash": "`, `"hash": "00`), "a payload hash has 64 hex digits"},
		{"text and base64", change(`"base64": "`, `"text": "", "base64": "`), "a payload has either text or base64"},
		{"broken base64", change(`"base64": "`, `"base64": "?`), "illegal base64"},
		{"payload lost", change(`"dataHash": "`+string(history.HashOf([]byte(`"`+largeInput+`"`)).String()), `"dataHash": "`+strings.Repeat("ab", 32)),
			"its data, payload abababab"},
		{"other root", change(`"root": "run-1"`, `"root": "run-2"`), `the root is "run-2", but the first instance is "run-1"`},
		{"parent lost", change(`"parent": "run-1"`, `"parent": "run-2"`), "without it"},
		{"other instance", change(`"id": "run-1",`, `"id": "run-3",`), `"run-3"`},
		{"more behind", append(bytes.Clone(whole), "{}"...), "something follows the recording"},
		{"not UTF-8", change("p99", "\xff99"), "not valid UTF-8"},
		{"no instances", []byte(`{"version": 1, "root": "a", "instances": []}`), "no instances"},
		{"instances of another kind", []byte(`{"version": 1, "root": "a", "instances": {}}`), "instances: here must be a list"},
		{"event without kind", []byte(`{"version": 1, "root": "a", "instances": [{"id": "a", "name": "b", "status": "running", "executions": [{"id": "x", "events": [{}]}]}]}`),
			"instances[0].executions[0].events[0]: the event has no kind"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.json")
			if err := os.WriteFile(path, test.text, 0o600); err != nil {
				t.Fatal(err)
			}
			rec, err := evals.Load(path)
			if err == nil || rec != nil {
				t.Fatalf("no error")
			}
			got := err.Error()
			if !strings.HasPrefix(got, "recording "+path+": ") || !strings.Contains(got, test.want) || strings.Contains(got, "\n") || len(got) > 700 {
				t.Errorf("got %q, want one line with %q", got, test.want)
			}
		})
	}
	if _, err := evals.Load(filepath.Join(t.TempDir(), "none.json")); !os.IsNotExist(unwrap(err)) {
		t.Errorf("no file: %v", err)
	}
}

func unwrap(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if _, path := err.(*os.PathError); path || !ok {
			return err
		}
		err = u.Unwrap()
	}
}

// FuzzRead: whatever is read can be written, and is then read as the same; and replaying
// it or looking for answers does not panic.
func FuzzRead(f *testing.F) {
	whole := recordedTeam(f)
	f.Add(whole)
	f.Add(whole[:1000])
	f.Add([]byte(`{"version": 1, "root": "a", "instances": [{"id": "a", "name": "investigate", "status": "running", "executions": [{"id": "x", "events": [{"kind": "TaskScheduled", "id": 1, "time": "2026-01-02T03:04:05Z", "name": "chat:a"}, {"kind": "TaskCompleted", "id": -1, "answers": 1, "time": "2026-01-02T03:04:05Z"}]}]}]}`))
	f.Add([]byte(`{"version": 1, "root": "", "instances": [], "payloads": [{"hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "text": ""}]}`))
	f.Add([]byte(`{"version": 1, "root": "a", "instances": [{"id": "a", "name": "b", "status": "running", "executions": [{"id": "x", "events": []}]}], "payloads": [{"hash": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "base64": ""}]}`))
	defs := none(nil)
	f.Fuzz(func(t *testing.T, text []byte) {
		rec, err := evals.Read(bytes.NewReader(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of more than one line: %q", err)
			}
			return
		}
		var first, second bytes.Buffer
		if err := rec.Write(&first); err != nil {
			t.Fatal(err)
		}
		if err := read(t, first.Bytes()).Write(&second); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("written twice, it differs:\n%s\n%s", first.Bytes(), second.Bytes())
		}
		d, err := evals.Strict(t.Context(), rec, defs...)
		if d != nil && err == nil {
			_ = d.Error()
		}
		_, _ = evals.Answers(rec)
	})
}
