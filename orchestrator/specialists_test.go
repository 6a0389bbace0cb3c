package orchestrator_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/orchestrator"
)

// As many tasks run at once as allowed, whenever so many are left, and never more.
func TestFanOutLimit(t *testing.T) {
	const tasks, limit = 100, 8
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		finish := make(chan struct{})
		m := scripted.Func(func(r *models.Request) (*models.Response, error) {
			running.Add(1)
			<-finish
			running.Add(-1)
			return &models.Response{Message: models.AssistantMessage("did " + r.Messages[len(r.Messages)-1].Content)}, nil
		})
		fan := durable.NewOrchestration("fan", func(ctx *durable.Context, in string) ([]orchestrator.Finding, error) {
			list := make([]orchestrator.Task, tasks)
			for i := range list {
				list[i] = orchestrator.Task{ID: fmt.Sprint(i), Agent: crew[i%2].Name(), Text: fmt.Sprint(in, " ", i)}
			}
			return orchestrator.FanOut(ctx, crew, list, orchestrator.FanOptions{Limit: limit})
		})
		rt, err := durable.Open(t.Context(), "memory:", define(m, fan))
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		id, err := fan.Schedule(t.Context(), rt.Client(), "task")
		if err != nil {
			t.Fatal(err)
		}
		for left := tasks; left > 0; left-- {
			synctest.Wait() // nothing goes on before another task ends
			if n := int(running.Load()); n != min(limit, left) {
				t.Fatalf("%d tasks are left, of which %d run", left, n)
			}
			finish <- struct{}{}
		}
		got, err := fan.Wait(t.Context(), rt.Client(), id)
		if err != nil || len(got) != tasks {
			t.Fatalf("%d findings, %v", len(got), err)
		}
		for i, f := range got {
			if f.ID != fmt.Sprint(i) || f.Result.Text != fmt.Sprint("did task ", i) || !f.Done() {
				t.Errorf("finding %d is %+v", i, f)
			}
		}
	})
}

func TestSpecialists(t *testing.T) {
	all := func(failing ...string) (orchestrator.Outcome, error) {
		var script []scripted.Entry
		for _, name := range failing {
			script = append(script, fails(name, "go"))
		}
		m := scripted.New(append(script, says("", "go", "fine"))...)
		return run(t, m, orchestrator.Specialists("s", crew, orchestrator.FanOptions{}), "go")
	}
	got, err := all("metrics")
	if err != nil || len(got.Findings) != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if f := got.Findings; !f[0].Done() || f[1].Done() || !f[2].Done() || !strings.Contains(f[1].Error, "no credit") {
		t.Errorf("findings %+v", f)
	}
	if !strings.HasPrefix(got.Text, "## logs\n\nfine\n\n## metrics\n\nFailed: ") || !strings.HasSuffix(got.Text, "\n\n## writer\n\nfine") {
		t.Errorf("text %q", got.Text)
	}
	if _, err := all("logs", "metrics", "writer"); err == nil || !strings.Contains(err.Error(), "no agent had a result: logs: ") {
		t.Errorf("all of them failed: %v", err)
	}
}

// A wrong fan-out starts nothing.
func TestFanOutRefuses(t *testing.T) {
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		t.Error("a model was asked")
		return nil, nil
	})
	for want, c := range map[string]struct {
		tasks []orchestrator.Task
		o     orchestrator.FanOptions
	}{
		`task 2: there is no specialist "dba"; there are: logs, metrics, writer`: {tasks: []orchestrator.Task{{Agent: "logs"}, {Agent: "dba"}}},
		"must not be negative": {o: orchestrator.FanOptions{Limit: -1}},
	} {
		fan := durable.NewOrchestration("fan", func(ctx *durable.Context, _ string) ([]orchestrator.Finding, error) {
			return orchestrator.FanOut(ctx, crew, c.tasks, c.o)
		})
		if _, err := run(t, m, fan, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := run(t, m, orchestrator.Specialists("s", nil, orchestrator.FanOptions{}), ""); err == nil || !strings.Contains(err.Error(), "no agent had a task") {
		t.Errorf("an empty team: %v", err)
	}
}

func TestChain(t *testing.T) {
	m := scripted.New(says("logs", "raw", "logged"), says("metrics", "logged", "measured"), says("writer", "measured", "written"))
	got, err := run(t, m, orchestrator.Chain("c", crew), "raw")
	if err != nil || got.Text != "written" || len(got.Findings) != 3 || got.Findings[1].Result.Text != "measured" {
		t.Errorf("got %+v, %v", got, err)
	}

	m = scripted.New(says("logs", "raw", "logged"), fails("metrics", "logged"))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, in string) (orchestrator.Outcome, error) {
		out, err := orchestrator.RunChain(ctx, crew, in)
		if err == nil || !strings.HasPrefix(err.Error(), "chain: agent 2 of 3: ") {
			t.Errorf("got %v", err)
		}
		return out, nil
	})
	got, err = run(t, m, o, "raw")
	if err != nil || got.Text != "logged" || len(got.Findings) != 2 || got.Findings[1].Done() {
		t.Errorf("got %+v, %v", got, err)
	}
}
