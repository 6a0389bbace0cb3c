package scenario_test

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/scenario"
)

// A session answers its own runs only: one that another scenario began waits for
// a session of that one, since this one's script, or money, is not meant for it.
func TestRunsOfOtherScenariosWait(t *testing.T) {
	ctx := t.Context()
	store := "sqlite:" + filepath.Join(t.TempDir(), "runs.db")
	file := func(name string) *scenario.Scenario {
		t.Helper()
		s, err := scenario.Parse(name+".yaml", []byte(`version: 1
name: `+name+`
agents: [{name: clerk, model: m, instructions: Help.}]
team: {agent: clerk}
input: question of `+name+`
script: {answers: [{agent: clerk, text: answer of `+name+`}]}
`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	open := func(name string, latency time.Duration, asked func(string)) *scenario.Session {
		t.Helper()
		s, err := (&scenario.Program{}).Open(ctx, scenario.Options{
			Store: store, Scenario: file(name), Tags: map[string]string{scenario.TagScenario: name},
			Latency: func(time.Duration) time.Duration { return latency },
			OnAnswer: func(req *models.Request, _ *models.Response) {
				asked(req.Messages[len(req.Messages)-1].Content)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	output := func(s *scenario.Session, id string) string {
		t.Helper()
		if _, err := s.Client().Wait(ctx, id); err != nil {
			t.Fatal(err)
		}
		r, err := scenario.Inspect(ctx, s.Client(), id)
		if err != nil {
			t.Fatal(err)
		}
		return r.Text()
	}

	// The first session ends in the middle of its model's answer.
	once := make(chan struct{})
	var first sync.Once
	a := open("first", time.Hour, func(string) { first.Do(func() { close(once) }) })
	tags := map[string]string{scenario.TagScenario: "first"}
	if _, err := a.Start(ctx, "a", "", tags); err != nil {
		t.Fatal(err)
	}
	<-once
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	b := open("second", 0, func(q string) {
		if !strings.Contains(q, "second") {
			t.Errorf("the second session was asked %q", q)
		}
	})
	if _, err := b.Start(ctx, "b", "", map[string]string{scenario.TagScenario: "second"}); err != nil {
		t.Fatal(err)
	}
	if got := output(b, "b"); got != "answer of second" {
		t.Errorf("got %q", got)
	}
	if s, err := b.Client().Get(ctx, "a"); err != nil || s.Status.Ended() {
		t.Errorf("the first run: %+v, %v", s, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	a = open("first", 0, func(string) {})
	if got := output(a, "a"); got != "answer of first" {
		t.Errorf("got %q", got)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}
