package facts_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory/facts"
)

func TestMain(m *testing.M) {
	// TestIndexAgrees opens files again and again: a tenth of the usual checks takes as long
	// as all others together. The command line has the last word.
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, url string) *durable.Client {
	t.Helper()
	rt, err := durable.Open(context.Background(), url, facts.Definitions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	return rt.Client()
}

func memoryOf(t testing.TB, c *durable.Client, path string, e facts.Embedder) *facts.Memory {
	t.Helper()
	m, err := facts.New(facts.Options{
		Client: func(context.Context) (*durable.Client, error) { return c, nil }, Path: path, Embedder: e,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func remember(t testing.TB, m *facts.Memory, s facts.Scope, texts ...string) (ids []string) {
	t.Helper()
	for _, text := range texts {
		id, err := m.Remember(t.Context(), s, facts.NewFact{Key: text, Text: text})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func search(t testing.TB, m *facts.Memory, query string, scopes ...facts.Scope) (texts []string) {
	t.Helper()
	found, err := m.Search(t.Context(), scopes, query, facts.MaxLimit)
	if err != nil {
		t.Fatalf("%q: %v", query, err)
	}
	for _, f := range found {
		texts = append(texts, f.Fact.Text)
	}
	return texts
}

func TestSearch(t *testing.T) {
	for _, url := range []string{"memory:", "sqlite:" + filepath.Join(t.TempDir(), "hub.db")} {
		m := memoryOf(t, open(t, url), "", nil)
		anna, bob := facts.User("anna"), facts.User("bob")
		remember(t, m, anna, "Anna's favourite colour is green.", "She is allergic to peanuts.", "Peanuts and peanut butter make her ill.",
			"她住在北京,喜欢喝茶。", "Das Büro ist in Köln.", "Her deploys run on Fridays, after the café opened.")
		remember(t, m, bob, "Bob loves peanuts.")
		remember(t, m, facts.Team("ops"), "The team deploys on Mondays.")
		for query, want := range map[string][]string{
			"peanut":                             {"Peanuts and peanut butter make her ill.", "She is allergic to peanuts."},
			"What COLOUR was it?":                {"Anna's favourite colour is green."},
			"deploying":                          {"Her deploys run on Fridays, after the café opened."},
			"koln cafe":                          {"Das Büro ist in Köln.", "Her deploys run on Fridays, after the café opened."},
			"北京":                                 {"她住在北京,喜欢喝茶。"},
			"submarine":                          nil,
			`"; drop table fact; -- NEAR(( * ^:`: nil,
			`text:green OR (colour" AND NOT`:     {"Anna's favourite colour is green.", "Peanuts and peanut butter make her ill."},
			"!?.":                                {"Her deploys run on Fridays, after the café opened.", "Das Büro ist in Köln.", "她住在北京,喜欢喝茶。", "Peanuts and peanut butter make her ill.", "She is allergic to peanuts.", "Anna's favourite colour is green."},
		} {
			if got := search(t, m, query, anna); !cmp.Equal(got, want) {
				t.Errorf("%s: %q finds %q, not %q", url, query, got, want)
			}
		}
		if got := search(t, m, "deploys peanuts", bob, facts.Team("ops"), bob, facts.Agent("nobody")); len(got) != 2 {
			t.Errorf("%s: two scopes: %q", url, got)
		}
		if found, err := m.Search(t.Context(), []facts.Scope{anna}, "peanut", 1); err != nil || len(found) != 1 || found[0].Scope != anna {
			t.Errorf("%s: the best one: %+v, %v", url, found, err)
		}
		if _, err := m.Search(t.Context(), nil, "x", 0); err == nil {
			t.Error("a limit of 0")
		}
	}
}

// A fact is there once by its key, and what was forgotten does not come back with a call
// that is made again.
func TestRememberOnce(t *testing.T) {
	ctx, c := t.Context(), open(t, "memory:")
	m, s := memoryOf(t, c, "", nil), facts.User("anna")
	id := remember(t, m, s, "one", "one")[1]
	again, err := m.Remember(ctx, s, facts.NewFact{Key: "another", Text: " ONE\n"})
	if err != nil || again != id {
		t.Errorf("the same text by another key: %s, %v, not %s", again, err, id)
	}
	if n, err := m.Forget(ctx, s, id, "unknown"); n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	if n, err := m.Forget(ctx, s, id); n != 0 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	for range 3 {
		remember(t, m, s, "one")
		if err := facts.AddFact.Send(ctx, c, string(s), facts.Fact{ID: id, Text: "one"}); err != nil {
			t.Fatal(err)
		}
	}
	remember(t, m, s, "two")
	if list, err := m.List(ctx, s); err != nil || len(list) != 1 || list[0].Text != "two" {
		t.Errorf("%+v, %v", list, err)
	}
	for _, f := range []facts.NewFact{
		{Text: "no key"}, {Key: "k", Text: " "}, {Key: "k", Text: strings.Repeat("x", facts.MaxText+1)},
		{Key: "k", Text: "x", Tags: make([]string, facts.MaxTags+1)}, {Key: "k", Text: "x", Tags: []string{strings.Repeat("x", 100)}},
	} {
		if id, err := m.Remember(ctx, s, f); err == nil {
			t.Errorf("%.20q is remembered as %s", f.Text, id)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Search(ctx, []facts.Scope{s}, "x", 1); err == nil {
		t.Error("a search after Close")
	}
}

// What was forgotten is in the index file no more, in no form.
func TestForgottenIsGone(t *testing.T) {
	c, path, s := open(t, "memory:"), filepath.Join(t.TempDir(), "index.db"), facts.User("anna")
	m := memoryOf(t, c, path, nil)
	ids := remember(t, m, s, "The codeword is xylophone.", "She likes tea.")
	if got := search(t, m, "xylophone", s); len(got) != 1 {
		t.Fatalf("%q", got)
	}
	if _, err := m.Forget(t.Context(), s, ids[0]); err != nil {
		t.Fatal(err)
	}
	if got := search(t, m, "xylophone tea", s); len(got) != 1 {
		t.Errorf("%q", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(b), "xylophon") || !strings.Contains(string(b), "tea") {
		t.Errorf("%d bytes with xylophone: %v, %v", len(b), strings.Contains(string(b), "xylophon"), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := memoryOf(t, c, path, nil).Search(ctx, []facts.Scope{s}, "tea", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that is done: %v", err)
	}
}

// A scope that is full says so, and has room again when something was forgotten.
func TestFull(t *testing.T) {
	c, s := open(t, "memory:"), facts.Agent("a")
	m, long := memoryOf(t, c, "", nil), strings.Repeat(" long", 395)
	var first []string
	for i := range 170 { // more than there is room for
		f := facts.Fact{ID: fmt.Sprint(i), Text: fmt.Sprint(i, long)}
		if err := facts.AddFact.Send(t.Context(), c, string(s), f); err != nil {
			t.Fatal(err)
		}
		if i < 3 {
			first = append(first, f.ID)
		}
	}
	_, err := m.Remember(t.Context(), s, facts.NewFact{Key: "x", Text: "x" + long})
	if err == nil || !strings.Contains(err.Error(), "forget some") {
		t.Fatalf("a fact too many: %v", err)
	}
	if list, err := m.List(t.Context(), s); err != nil || len(list) < 100 || len(list) > 150 {
		t.Fatalf("%d facts, %v", len(list), err)
	}
	if n, err := m.Forget(t.Context(), s, first...); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	remember(t, m, s, "short")
	if got := search(t, m, "short", s); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

var vocabulary = []string{"red", "green", "blue", "house", "river", "stone"}

// Whoever writes, in whichever process, and whatever becomes of the index: a search gives
// what the entities have.
func TestIndexAgrees(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp("", "facts")
		if err != nil {
			r.Fatal(err)
		}
		defer os.RemoveAll(dir)
		url, path, saved := "sqlite:"+filepath.Join(dir, "hub.db"), filepath.Join(dir, "index.db"), filepath.Join(dir, "saved.db")
		var rt *durable.Runtime
		var remote *durable.Connection
		var all []*facts.Memory
		begin := func() {
			if rt, err = durable.Open(t.Context(), url, facts.Definitions()); err != nil {
				r.Fatal(err)
			}
			if remote, err = durable.Connect(t.Context(), url, durable.Options{}); err != nil { // as a second process does
				r.Fatal(err)
			}
			all = []*facts.Memory{memoryOf(t, rt.Client(), path, nil), memoryOf(t, remote.Client, path, nil), memoryOf(t, remote.Client, "", nil)}
		}
		end := func() {
			for _, m := range all {
				if err := m.Close(); err != nil {
					r.Fatal(err)
				}
			}
			if err := errors.Join(remote.Close(), rt.Close()); err != nil {
				r.Fatal(err)
			}
		}
		begin()
		defer func() { end() }()
		scopes, n := []facts.Scope{facts.User("a"), facts.Team("b")}, 0
		scope := func() facts.Scope { return rapid.SampledFrom(scopes).Draw(r, "scope") }
		which := func() *facts.Memory { return all[rapid.IntRange(0, 2).Draw(r, "process")] }
		check := func() {
			m, s, word := which(), scope(), rapid.SampledFrom(vocabulary).Draw(r, "query")
			list, err := m.List(t.Context(), s)
			if err != nil {
				r.Fatal(err)
			}
			var want []string
			for _, f := range list {
				if slices.Contains(strings.Fields(f.Text), word) {
					want = append(want, f.Text)
				}
			}
			got := search(t, m, word, s)
			slices.Sort(got)
			slices.Sort(want)
			if !cmp.Equal(got, want) {
				r.Fatalf("%q finds %q, and there are %q", word, got, want)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { check() },
			"remember": func(*rapid.T) {
				n++
				text := fmt.Sprint(n, " ", strings.Join(rapid.SliceOfN(rapid.SampledFrom(vocabulary), 1, 3).Draw(r, "words"), " "))
				if _, err := which().Remember(t.Context(), scope(), facts.NewFact{Key: text, Text: text}); err != nil {
					r.Fatal(err)
				}
			},
			"forget": func(*rapid.T) {
				m, s := which(), scope()
				list, err := m.List(t.Context(), s)
				if err != nil || len(list) == 0 {
					return
				}
				if _, err := m.Forget(t.Context(), s, list[rapid.IntRange(0, len(list)-1).Draw(r, "which")].ID); err != nil {
					r.Fatal(err)
				}
			},
			"purge": func(*rapid.T) { // its facts begin anew
				if _, err := rt.Client().Purge(t.Context(), facts.Entity.ID(string(scope())), false); err != nil && !durable.IsNotFound(err) {
					r.Fatal(err)
				}
			},
			"restart": func(*rapid.T) { end(); begin() },
			"lose the index": func(*rapid.T) {
				end()
				damage(r, path, rapid.SampledFrom([]string{"gone", "junk", "cut"}).Draw(r, "damage"))
				begin()
			},
			"back up": func(*rapid.T) {
				end()
				copyFile(r, filepath.Join(dir, "hub.db"), saved)
				begin()
			},
			"set back": func(*rapid.T) {
				if _, err := os.Stat(saved); err != nil {
					return
				}
				end()
				copyFile(r, saved, filepath.Join(dir, "hub.db"))
				begin()
			},
		})
	})
}

func damage(t *rapid.T, path, how string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	switch how {
	case "gone":
		err = os.Remove(path)
	case "junk":
		err = os.WriteFile(path, []byte(strings.Repeat("no index ", 500)), 0o600)
	case "cut":
		err = os.WriteFile(path, b[:len(b)/3], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *rapid.T, from, to string) {
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Many at once, on one index file.
func TestConcurrent(t *testing.T) {
	c, path, s := open(t, "memory:"), filepath.Join(t.TempDir(), "index.db"), facts.Team("t")
	var wait sync.WaitGroup
	for i := range 4 {
		m := memoryOf(t, c, path, nil)
		wait.Go(func() {
			for j := range 10 {
				text := fmt.Sprintf("stone number %d of %d", j, i)
				if _, err := m.Remember(t.Context(), s, facts.NewFact{Key: text, Text: text}); err != nil {
					t.Error(err)
				}
				found, err := m.Search(t.Context(), []facts.Scope{s}, "stone", facts.MaxLimit)
				if err != nil || !slices.ContainsFunc(found, func(f facts.Found) bool { return f.Fact.Text == text }) {
					t.Errorf("%q is not found among %d: %v", text, len(found), err)
				}
			}
		})
	}
	wait.Wait()
}

// meaning is an embedder to which some words mean the same.
type meaning struct {
	model string
	fail  error
	asked int
}

func (e *meaning) Model() string { return e.model }

func (e *meaning) Embed(_ context.Context, texts []string) ([][]float32, error) {
	var out [][]float32
	for _, text := range texts {
		e.asked++
		v := make([]float32, 3)
		for i, words := range [][]string{{"car", "automobile", "vehicle"}, {"doctor", "physician"}, {"happy", "glad"}} {
			for _, w := range words {
				if strings.Contains(strings.ToLower(text), w) {
					v[i]++
				}
			}
		}
		out = append(out, v)
	}
	return out, e.fail
}

func TestEmbeddings(t *testing.T) {
	c, path, e := open(t, "memory:"), filepath.Join(t.TempDir(), "index.db"), &meaning{model: "one"}
	m, s := memoryOf(t, c, path, e), facts.User("anna")
	remember(t, m, s, "She drives an old automobile.", "Her physician is Dr. Who.", "A car is a car.", "She reads much.")
	if got := search(t, m, "vehicle", s); len(got) != 2 || slices.Contains(got, "She reads much.") {
		t.Errorf("by meaning: %q", got)
	}
	if got := search(t, m, "old vehicle", s); len(got) != 2 || got[0] != "She drives an old automobile." {
		t.Errorf("by both: %q", got) // the word and the meaning
	}
	asked := e.asked
	search(t, m, "doctor", s)
	if e.asked != asked+1 {
		t.Errorf("%d texts were embedded for a query", e.asked-asked)
	}
	// Another model makes its own vectors; one that fails leaves the words.
	other := memoryOf(t, c, path, &meaning{model: "two"})
	if got := search(t, other, "vehicle", s); len(got) != 2 {
		t.Errorf("by another model: %q", got)
	}
	e.fail = errors.New("no credit")
	if got := search(t, m, "vehicle", s); got != nil {
		t.Errorf("by words alone: %q", got)
	}
	if got := search(t, m, "physician", s); len(got) != 1 {
		t.Errorf("by words alone: %q", got)
	}
}
