package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

var rollBackTool = tools.New("roll_back", "Roll a service back.", rollBack, tools.Unsafe(), tools.Reconcile(findRollback))

// rollBackCall is a call of rollBackTool for payments.
func rollBackCall(key, version string) tools.Call {
	return tools.Call{Key: key, Arguments: `{"service":"payments","toVersion":"` + version + `"}`}
}

// newProduction gives the test a production of its own.
func newProduction(t *testing.T) production {
	t.Helper()
	t.Setenv(stateVariable, filepath.Join(t.TempDir(), "state"))
	return openProduction()
}

func (p production) current(t *testing.T, service string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "current", service))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func (p production) effects(t *testing.T) []effect {
	t.Helper()
	effects, err := p.journal.read()
	if err != nil {
		t.Fatal(err)
	}
	return effects
}

// TestRollBack rolls back twice: the second starts from where the first led.
func TestRollBack(t *testing.T) {
	p := newProduction(t)
	for i, want := range []RollBackResult{
		{"payments", "v2.14.0", "v2.13.2"},
		{"payments", "v2.13.2", "v2.13.1"},
	} {
		key := []string{"first", "second"}[i]
		got, err := rollBackTool.Call(t.Context(), rollBackCall(key, want.To))
		if err != nil {
			t.Fatal(err)
		}
		var result RollBackResult
		if err := json.Unmarshal([]byte(got.Content), &result); err != nil || result != want {
			t.Errorf("result %q, %v; want %+v", got.Content, err, want)
		}
		if got := p.current(t, "payments"); got != want.To+"\n" {
			t.Errorf("payments runs %q, want %s", got, want.To)
		}
		outcome, err := rollBackTool.Reconcile(t.Context(), rollBackCall(key, want.To))
		if err != nil || !outcome.Happened || outcome.Result.Content != got.Content {
			t.Errorf("reconcile says %+v, %v; want what the call said", outcome, err)
		}
	}
	for i, e := range p.effects(t) {
		if e.Key != []string{"first", "second"}[i] || e.Service != "payments" || e.Time.IsZero() {
			t.Errorf("effect %d is %+v", i, e)
		}
	}
	// An earlier call is found too, and does not bring its version back.
	if outcome, err := rollBackTool.Reconcile(t.Context(), rollBackCall("first", "v2.13.2")); err != nil || !outcome.Happened {
		t.Errorf("reconcile says %+v, %v", outcome, err)
	}
	if got := p.current(t, "payments"); got != "v2.13.1\n" {
		t.Errorf("payments runs %q after looking up the first rollback", got)
	}
}

// TestRollBackTwice shows that the journal tells on a call that is made twice.
func TestRollBackTwice(t *testing.T) {
	p := newProduction(t)
	for range 2 {
		if _, err := rollBackTool.Call(t.Context(), rollBackCall("same", "v2.13.2")); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.effects(t)); n != 2 {
		t.Errorf("the journal has %d effects, want both", n)
	}
}

func TestFindRollbackThatDidNotHappen(t *testing.T) {
	p := newProduction(t)
	outcome, err := rollBackTool.Reconcile(t.Context(), rollBackCall("never", "v2.13.2"))
	if err != nil || outcome.Happened {
		t.Errorf("in an empty production: %+v, %v", outcome, err)
	}
	if _, err := os.Stat(p.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("looking a call up made the folder: %v", err)
	}
	if _, err := rollBackTool.Call(t.Context(), rollBackCall("other", "v2.13.2")); err != nil {
		t.Fatal(err)
	}
	outcome, err = rollBackTool.Reconcile(t.Context(), rollBackCall("never", "v2.13.2"))
	if err != nil || outcome.Happened {
		t.Errorf("beside another call: %+v, %v", outcome, err)
	}
	_, err = rollBackTool.Reconcile(t.Context(), rollBackCall("other", "v2.13.1"))
	wantError(t, err, "rolled payments back to v2.13.2, not payments to v2.13.1")
}

// TestRollBackInterrupted fails between the line in the journal and the version
// file, as a crash may: the outcome is unknown, and reconciling completes it.
func TestRollBackInterrupted(t *testing.T) {
	p := newProduction(t)
	obstacle := filepath.Join(p.dir, "current")
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(obstacle, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := rollBackTool.Call(t.Context(), rollBackCall("cut", "v2.13.2"))
	if unknown, ok := errors.AsType[*tools.UnknownOutcomeError](err); !ok || unknown.Key != "cut" {
		t.Fatalf("error %v, want an unknown outcome of call cut", err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	outcome, err := rollBackTool.Reconcile(t.Context(), rollBackCall("cut", "v2.13.2"))
	if err != nil || !outcome.Happened {
		t.Fatalf("reconcile says %+v, %v", outcome, err)
	}
	if got := p.current(t, "payments"); got != "v2.13.2\n" {
		t.Errorf("payments runs %q after reconciling", got)
	}
	if n := len(p.effects(t)); n != 1 {
		t.Errorf("%d effects, want 1", n)
	}
}

func TestRollBackBadInput(t *testing.T) {
	p := newProduction(t)
	withKey := func(in RollBackArgs) error {
		// Called past the schema, which would refuse most of these.
		var err error
		tool := tools.New("roll_back", "Roll back.", func(ctx context.Context, _ struct{}) (string, error) {
			_, err = rollBack(ctx, in)
			return "", nil
		})
		if _, err := tool.Call(t.Context(), tools.Call{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		return err
	}
	wantError(t, withKey(RollBackArgs{"billing", "v1"}), `unknown service "billing"`, "catalog, checkout, gateway, payments")
	wantError(t, withKey(RollBackArgs{"payments", "2.13.2"}), `unknown version "2.13.2" of payments`, "v2.13.1, v2.13.2, v2.14.0")
	wantError(t, withKey(RollBackArgs{"checkout", "v2.13.2"}), "v3.8.3, v3.8.4")
	_, err := rollBack(t.Context(), RollBackArgs{"payments", "v2.13.2"})
	wantError(t, err, "needs the key of its call")
	if _, err := os.Stat(p.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused rollback left something behind: %v", err)
	}
}

// TestJournalTorn cuts the second of two lines at every byte, as a crash may,
// with and without the zeros that a power cut leaves. Whatever is left, the
// next append is not lost, and an effect counts once its object is whole.
func TestJournalTorn(t *testing.T) {
	line := func(key string) string {
		b, err := json.Marshal(effect{Key: key, Service: "payments", From: "v2.14.0", To: "v2.13.2", Time: time.Unix(0, 0).UTC()})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	keys := func(j journal) string {
		effects, err := j.read()
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, e := range effects {
			keys = append(keys, e.Key)
		}
		return strings.Join(keys, " ")
	}
	dir := t.TempDir()
	for cut := range len(line("b")) + 1 {
		for _, rest := range []string{"", "\x00\x00\x00"} {
			j := journal{filepath.Join(dir, "effects.jsonl")}
			if err := os.WriteFile(j.path, []byte(line("a")+"\n"+line("b")[:cut]+rest), 0o644); err != nil {
				t.Fatal(err)
			}
			want := "a"
			if cut == len(line("b")) {
				want = "a b"
			}
			if got := keys(j); got != want {
				t.Fatalf("cut at %d: read %q, want %q", cut, got, want)
			}
			if err := j.append(effect{Key: "c"}); err != nil {
				t.Fatal(err)
			}
			if got := keys(j); got != want+" c" {
				t.Fatalf("cut at %d, then one more: read %q, want %q", cut, got, want+" c")
			}
		}
	}
}

// TestJournalCorrupt checks that a journal which no crash explains is refused:
// it cannot say what happened.
func TestJournalCorrupt(t *testing.T) {
	p := newProduction(t)
	if err := p.journal.append(effect{Key: "a"}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p.journal.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.journal.path, slices.Concat(b, []byte("oops\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = rollBackTool.Reconcile(t.Context(), rollBackCall("a", "v2.13.2"))
	wantError(t, err, "effects.jsonl:2", "restore the file")
	_, err = rollBackTool.Call(t.Context(), rollBackCall("b", "v2.13.2"))
	wantError(t, err, "effects.jsonl:2")
}

func TestStateDir(t *testing.T) {
	t.Setenv(stateVariable, "")
	if got, want := stateDir(), filepath.Join(".agentrun", "incident"); got != want {
		t.Errorf("default folder %q, want %q", got, want)
	}
	t.Setenv(stateVariable, "elsewhere")
	if got := stateDir(); got != "elsewhere" {
		t.Errorf("folder %q, want elsewhere", got)
	}
}
