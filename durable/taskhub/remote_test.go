package taskhub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// answer is what a call of a hub gave, with its error as text: that has to cross the socket too.
type answer struct {
	Value any
	Err   string
}

// payloads compares payloads at once (they can be large) and keeps absent apart from empty.
var payloads = cmp.Comparer(func(a, b history.Payload) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) })

func of[T any](v T, err error) answer {
	if err != nil {
		return answer{Err: err.Error()}
	}
	return answer{Value: v}
}

func only(err error) answer { return of[any](nil, err) }

func payload(b []byte, err error) (history.Payload, error) { return b, err }

type listing[T any] struct {
	Items []T
	Token string
}

func list[T any](items []T, token string, err error) answer {
	return of(listing[T]{items, token}, err)
}

func events(h taskhub.Hub, ctx context.Context, id, execution string) answer {
	var evs []*history.Event
	for ev, err := range h.History(ctx, id, execution) {
		if err != nil {
			return only(err)
		}
		evs = append(evs, ev)
	}
	return of(evs, nil)
}

func third(_ any, _ string, err error) error { return err }

// TestSameAnswers fills a hub through the socket and asks it the same questions through the socket
// and directly.
func TestSameAnswers(t *testing.T) {
	ctx := t.Context()
	eng := newEngine(t)
	path, _ := serve(t, eng)
	remote := dial(t, path)

	big := history.Payload(strings.Repeat("большой ", 90_000)) // two parts of a stream; one event
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	start := func(s engine.Start) {
		t.Helper()
		id, err := remote.Start(ctx, s)
		must(err)
		if s.ID != "" && id != s.ID || id == "" {
			t.Fatalf("Start gave the id %q, want %q", id, s.ID)
		}
	}
	start(engine.Start{ID: "plain", Name: "script", Version: "2", Input: history.Payload(`"in"`),
		Tags: map[string]string{"team": "red", "empty": ""}, Trace: history.TraceContext{Parent: "00-1-2-01", State: "a=b", SpanID: "7"}})
	start(engine.Start{ID: "empty", Name: "script", Input: history.Payload{}})
	start(engine.Start{ID: "absent", Name: "script"})
	start(engine.Start{ID: "big", Name: "script", Input: big})
	start(engine.Start{ID: "failed", Name: "script"})
	start(engine.Start{ID: "again", Name: "script", Input: history.Payload("1")})
	start(engine.Start{ID: "stopped", Name: "script"})
	start(engine.Start{ID: "asleep", Name: "script"})
	start(engine.Start{ID: "later", Name: "a definition that nobody here has"})
	start(engine.Start{Name: "script"})
	start(engine.Start{ID: "planned", Name: "script", Input: history.Payload("in"), At: time.Now().Add(time.Hour)})
	for range 2 {
		start(engine.Start{ID: "replaced", Name: "script", Reuse: []history.Status{history.Running, history.Terminated}})
	}
	for _, id := range []string{"purged-1", "purged-2"} {
		start(engine.Start{ID: id, Name: "script"})
		must(remote.Terminate(ctx, id, nil, false))
	}
	start(engine.Start{ID: "rewound", Name: "script"})
	must(remote.Raise(ctx, "rewound", "fail", history.Payload("once")))
	must(remote.Rewind(ctx, "rewound", "mended"))
	start(engine.Start{ID: "restarted", Name: "script", Input: history.Payload("in")})
	must(remote.Raise(ctx, "restarted", "end", nil))
	if id, err := remote.Restart(ctx, "restarted", false); id != "restarted" || err != nil {
		t.Errorf("Restart gave %q, %v", id, err)
	}
	if id, err := remote.Restart(ctx, "restarted", true); len(id) != 32 || err != nil {
		t.Errorf("Restart gave %q, %v", id, err)
	}
	if n, err := remote.Purge(ctx, []string{"purged-1", "planned", "purged-2"}, true); n != 2 || err != nil {
		t.Errorf("Purge gave %d, %v", n, err)
	}
	must(remote.Raise(ctx, "plain", "note", history.Payload("half-way")))
	must(remote.Raise(ctx, "plain", "end", history.Payload("+out")))
	must(remote.Raise(ctx, "empty", "end", history.Payload{}))
	must(remote.Raise(ctx, "big", "end", nil))
	must(remote.Raise(ctx, "failed", "fail", history.Payload("it broke")))
	must(remote.Raise(ctx, "again", "again", history.Payload("2")))
	must(remote.Raise(ctx, "again", "end", history.Payload("!")))
	must(remote.Terminate(ctx, "stopped", history.Payload("enough"), true))
	start(engine.Start{ID: "locks", Name: "script"})
	must(remote.Raise(ctx, "locks", "lock", history.Payload("@count@locked")))
	must(remote.Suspend(ctx, "asleep", history.Payload("wait")))
	must(remote.Signal(ctx, "@count@a", "add", history.Payload("3"), time.Time{}))
	must(remote.Signal(ctx, "@count@a", "add", history.Payload("4"), time.Time{}))
	must(remote.Signal(ctx, "@COUNT@b", "add", nil, time.Time{}))
	must(remote.Signal(ctx, "@count@later", "add", nil, time.Now().Add(time.Hour)))
	ended := []string{"plain", "empty", "big", "failed", "again", "stopped"}
	for _, id := range ended {
		if _, err := remote.Wait(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	must(remote.Suspend(ctx, "absent", nil))
	must(remote.Resume(ctx, "absent", history.Payload("go")))

	await(t, eng, "@count@b")
	await(t, eng, "@count@locked")
	b, err := eng.Entity(ctx, "@count@b")
	must(err)

	old, err := eng.Executions(ctx, "again")
	must(err)
	if len(old) != 2 {
		t.Fatalf("continue-as-new left the executions %q", old)
	}
	tooLong := strings.Repeat("x", 101)
	type question struct {
		name string
		ask  func(h taskhub.Hub) answer
	}
	questions := []question{
		{"executions", func(h taskhub.Hub) answer { return of(h.Executions(ctx, "again")) }},
		{"executions of none", func(h taskhub.Hub) answer { return of(h.Executions(ctx, "nobody")) }},
		{"history of the old one", func(h taskhub.Hub) answer { return events(h, ctx, "again", old[0]) }},
		{"history of a wrong one", func(h taskhub.Hub) answer { return events(h, ctx, "again", "0") }},
		{"history of none", func(h taskhub.Hub) answer { return events(h, ctx, "nobody", "") }},
		{"effects of none", func(h taskhub.Hub) answer { return of(h.OutsideEffects(ctx, "nobody")) }},
		{"effects of an entity", func(h taskhub.Hub) answer { return of(h.OutsideEffects(ctx, "@count@a")) }},
		{"get none", func(h taskhub.Hub) answer { return of(h.Get(ctx, "nobody", true)) }},
		{"get an entity", func(h taskhub.Hub) answer { return of(h.Get(ctx, "@count@a", true)) }},
		{"entity", func(h taskhub.Hub) answer { return of(h.Entity(ctx, "@count@a")) }},
		{"entity of none", func(h taskhub.Hub) answer { return of(h.Entity(ctx, "@count@z")) }},
		{"entities", func(h taskhub.Hub) answer { return list(h.Entities(ctx, engine.EntityQuery{}, true)) }},
		{"entities by prefix", func(h taskhub.Hub) answer {
			return list(h.Entities(ctx, engine.EntityQuery{Prefix: "@count@b"}, false))
		}},
		{"entities by time", func(h taskhub.Hub) answer {
			return list(h.Entities(ctx, engine.EntityQuery{ModifiedFrom: b.Modified, ModifiedTo: b.Modified.Add(1)}, true))
		}},
		{"transient entities", func(h taskhub.Hub) answer {
			return list(h.Entities(ctx, engine.EntityQuery{Transient: true, Limit: 3}, true))
		}},
		{"entities with a wrong token", func(h taskhub.Hub) answer {
			return only(third(h.Entities(ctx, engine.EntityQuery{Token: "nonsense"}, false)))
		}},
		{"locked entity", func(h taskhub.Hub) answer { return of(h.Entity(ctx, "@count@locked")) }},
		{"entity to come", func(h taskhub.Hub) answer { return of(h.Entity(ctx, "@count@later")) }},
		{"clean entities", func(h taskhub.Hub) answer {
			done, token, err := h.CleanEntities(ctx, engine.EntityCleaning{Empty: true, Locks: true}, "")
			return list([]engine.CleanedEntities{done}, token, err)
		}},
		{"clean with a wrong token", func(h taskhub.Hub) answer {
			done, token, err := h.CleanEntities(ctx, engine.EntityCleaning{}, "nonsense")
			return list([]engine.CleanedEntities{done}, token, err)
		}},
		{"signal with a long id", func(h taskhub.Hub) answer {
			return only(h.Signal(ctx, "@count@"+tooLong, "add", nil, time.Time{}))
		}},
		{"payload", func(h taskhub.Hub) answer { return of(payload(h.Payload(ctx, history.HashOf(big)))) }},
		{"payload of none", func(h taskhub.Hub) answer { return of(payload(h.Payload(ctx, history.HashOf([]byte("?"))))) }},
		{"start twice", func(h taskhub.Hub) answer { return of(h.Start(ctx, engine.Start{ID: "plain", Name: "script"})) }},
		{"start an entity", func(h taskhub.Hub) answer { return of(h.Start(ctx, engine.Start{ID: "@a@b", Name: "script"})) }},
		{"start without a name", func(h taskhub.Hub) answer { return of(h.Start(ctx, engine.Start{ID: "a"})) }},
		{"start with a long id", func(h taskhub.Hub) answer { return of(h.Start(ctx, engine.Start{ID: tooLong, Name: "script"})) }},
		{"purge what lives and none", func(h taskhub.Hub) answer { return of(h.Purge(ctx, []string{"asleep", "nobody"}, true)) }},
		{"purge an entity", func(h taskhub.Hub) answer { return of(h.Purge(ctx, []string{"@count@nobody"}, false)) }},
		{"restart none", func(h taskhub.Hub) answer { return of(h.Restart(ctx, "nobody", true)) }},
		{"restart what lives", func(h taskhub.Hub) answer { return of(h.Restart(ctx, "asleep", false)) }},
		{"restart an entity", func(h taskhub.Hub) answer { return of(h.Restart(ctx, "@count@a", false)) }},
		{"rewind none", func(h taskhub.Hub) answer { return only(h.Rewind(ctx, "nobody", "why")) }},
		{"rewind what completed", func(h taskhub.Hub) answer { return only(h.Rewind(ctx, "plain", "why")) }},
		{"rewind an entity", func(h taskhub.Hub) answer { return only(h.Rewind(ctx, "@count@a", "")) }},
		{"purge nothing", func(h taskhub.Hub) answer { return of(h.Purge(ctx, nil, false)) }},
		{"start in place of what lives", func(h taskhub.Hub) answer {
			return of(h.Start(ctx, engine.Start{ID: "asleep", Name: "script", Reuse: []history.Status{history.Suspended}}))
		}},
		{"start in place of another status", func(h taskhub.Hub) answer {
			return of(h.Start(ctx, engine.Start{ID: "plain", Name: "script", Reuse: []history.Status{history.Failed}}))
		}},
		{"raise to none", func(h taskhub.Hub) answer { return only(h.Raise(ctx, "nobody", "x", nil)) }},
		{"raise to an ended one", func(h taskhub.Hub) answer { return only(h.Raise(ctx, "plain", "x", nil)) }},
		{"terminate none", func(h taskhub.Hub) answer { return only(h.Terminate(ctx, "nobody", nil, false)) }},
		{"suspend none", func(h taskhub.Hub) answer { return only(h.Suspend(ctx, "nobody", nil)) }},
		{"resume an entity", func(h taskhub.Hub) answer { return only(h.Resume(ctx, "@count@a", nil)) }},
		{"signal what is no entity", func(h taskhub.Hub) answer { return only(h.Signal(ctx, "plain", "add", nil, time.Time{})) }},
	}
	for _, id := range append(ended, "absent", "asleep", "later", "planned", "replaced", "rewound", "restarted", "purged-1") {
		for _, data := range []bool{false, true} {
			questions = append(questions, question{fmt.Sprintf("get %s, data %v", id, data),
				func(h taskhub.Hub) answer { return of(h.Get(ctx, id, data)) }})
		}
		questions = append(questions, question{"effects of " + id, func(h taskhub.Hub) answer { return of(h.OutsideEffects(ctx, id)) }})
		questions = append(questions, question{"history of " + id, func(h taskhub.Hub) answer { return events(h, ctx, id, "") }})
	}
	for _, id := range ended {
		questions = append(questions, question{"wait for " + id, func(h taskhub.Hub) answer { return of(h.Wait(ctx, id)) }})
		questions = append(questions, question{"wait for the start of " + id, func(h taskhub.Hub) answer { return of(h.WaitStart(ctx, id)) }})
	}
	plain, err := eng.Get(ctx, "plain", false)
	must(err)
	failed, err := eng.Get(ctx, "failed", false)
	must(err)
	for i, q := range []store.Query{
		{}, {Newest: true}, {Limit: 3}, {Limit: 3, Newest: true}, {Prefix: "a"}, {TopLevel: true},
		{Names: []string{"other", "a definition that nobody here has"}},
		{Statuses: []history.Status{history.Failed, history.Terminated}}, {Tags: map[string]string{"team": "red"}},
		{Tags: map[string]string{"team": "blue"}},
		{CreatedFrom: plain.Created.Add(1), CreatedTo: failed.Created},
		{CompletedFrom: plain.Completed, CompletedTo: failed.Completed.Add(1)}, {Parent: "plain"}, {Parent: "nobody"},
		{Token: "nonsense"},
	} {
		questions = append(questions, question{fmt.Sprintf("query %d", i), func(h taskhub.Hub) answer {
			return list(h.Query(ctx, q, i%2 == 0 && i > 0))
		}})
	}
	for _, q := range questions {
		t.Run(q.name, func(t *testing.T) {
			if diff := cmp.Diff(q.ask(eng), q.ask(remote), payloads); diff != "" {
				t.Errorf("-direct +through the socket:\n%.2000s", diff)
			}
		})
	}
}

// TestPagesFitInMessages lists instances whose data together are larger than a message.
func TestPagesFitInMessages(t *testing.T) {
	ctx := t.Context()
	eng := newEngine(t)
	path, _ := serve(t, eng)
	remote := dial(t, path)
	var want, got []string
	for i := range 12 {
		id := fmt.Sprintf("run-%02d", i)
		want = append(want, id)
		if _, err := eng.Start(ctx, engine.Start{ID: id, Name: "script", Input: bytes.Repeat([]byte("x"), 1<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	q := store.Query{}
	for pages := 1; ; pages++ {
		states, token, err := remote.Query(ctx, q, true)
		if err != nil {
			t.Fatal(err)
		}
		if len(states) > 3 {
			t.Errorf("page %d has %d instances of 1 MiB each", pages, len(states))
		}
		for _, s := range states {
			got = append(got, s.ID)
		}
		if q.Token = token; token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestErrorsAreTheEngines checks that errors.Is says the same on both sides.
func TestErrorsAreTheEngines(t *testing.T) {
	ctx := t.Context()
	eng := newEngine(t)
	path, _ := serve(t, eng)
	remote := dial(t, path)
	for _, h := range []taskhub.Hub{eng, remote} {
		_, _ = h.Start(ctx, engine.Start{ID: "one", Name: "script"})
		_, exists := h.Start(ctx, engine.Start{ID: "one", Name: "script"})
		_, invalid := h.Start(ctx, engine.Start{})
		_, none := h.Get(ctx, "nobody", false)
		_, noPayload := h.Payload(ctx, history.HashOf(nil))
		over, cancel := context.WithCancel(ctx)
		cancel()
		_, canceled := h.Wait(over, "one")
		for _, c := range []struct {
			err, want error
		}{
			{exists, engine.ErrExists}, {invalid, engine.ErrInvalid}, {none, engine.ErrNotFound},
			{h.Raise(ctx, "nobody", "x", nil), engine.ErrNotFound}, {noPayload, store.ErrNotFound}, {canceled, context.Canceled},
		} {
			if !errors.Is(c.err, c.want) {
				t.Errorf("%T: %v is not %q", h, c.err, c.want)
			}
		}
	}
	if _, err := remote.Start(ctx, engine.Start{Name: "script", Input: history.Payload("\xff")}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("input that is not UTF-8: %v", err)
	}
	if _, err := remote.Start(ctx, engine.Start{Name: "script", Input: make(history.Payload, 65<<20)}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("input that is too large: %v", err)
	}
}

// TestWaitEnds waits for an instance that ends only then.
func TestWaitEnds(t *testing.T) {
	ctx := t.Context()
	eng := newEngine(t)
	path, _ := serve(t, eng)
	remote := dial(t, path)
	if _, err := remote.Start(ctx, engine.Start{ID: "one", Name: "script", Input: history.Payload("a")}); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := remote.Wait(over, "one"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting beyond the deadline gave %v", err)
	}
	states := make(chan answer, 1)
	go func() { states <- of(remote.Wait(ctx, "one")) }()
	if err := remote.Raise(ctx, "one", "end", history.Payload("b")); err != nil {
		t.Fatal(err)
	}
	got := <-states
	if got.Err != "" || string(got.Value.(*engine.State).Output) != "ab" {
		t.Errorf("Wait gave %+v", got)
	}
}

func TestInfo(t *testing.T) {
	path, _ := serve(t, newEngine(t))
	got := dial(t, path).Info()
	if got.Since.IsZero() {
		t.Error("Since is not set")
	}
	got.Since = time.Time{}
	if diff := cmp.Diff(taskhub.Info{PID: os.Getpid(), Program: "test", Version: "1.0"}, got); diff != "" {
		t.Error(diff)
	}
}
