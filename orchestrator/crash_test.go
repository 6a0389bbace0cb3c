package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/orchestrator"
)

// everything composes the three patterns: a plan that fails in part and is revised,
// a review by two side by side, a person's approval.
var everything = durable.NewOrchestration("everything", func(ctx *durable.Context, alert string) (string, error) {
	found, err := orchestrator.PlanAndRun(ctx, planner, crew, alert, orchestrator.PlanOptions{})
	if err != nil {
		return "", err
	}
	reviews, err := orchestrator.FanOut(ctx, crew, orchestrator.Team{logs, metrics}.Tasks("Review:\n"+found.Text), orchestrator.FanOptions{Limit: 1})
	if err != nil {
		return "", err
	}
	a, err := orchestrator.Approve(ctx, agents.Request{Question: "Publish?", Within: time.Hour})
	if err != nil {
		return "", err
	}
	if a.Status != agents.Approved {
		return "", errors.New("not approved")
	}
	return fmt.Sprint(found.Findings[len(found.Findings)-1].Result.Text, ", ", reviews[0].Result.Text, ", ", reviews[1].Result.Text), nil
})

var everythingScript = scripted.New(
	plan(1, step("a", "logs", "A."), step("b", "metrics", "B."), step("c", "writer", "C.", "a", "b")),
	plan(2, step("b", "logs", "B by logs."), step("c", "writer", "C.", "a", "b")),
	fails("metrics", "B."), says("logs", "A.", "a"), says("logs", "B by logs.", "b"), says("writer", "C.", "a and b"),
	says("logs", "Review:", "good"), says("metrics", "Review:", "well done"),
)

const everythingFound = "a and b, good, well done"

// witness counts what models are asked; it lives outside of every store.
type witness struct {
	mu    sync.Mutex
	asked map[string]int
}

func (w *witness) model() models.Model {
	return scripted.Func(func(r *models.Request) (*models.Response, error) {
		w.mu.Lock()
		if w.asked == nil {
			w.asked = map[string]int{}
		}
		w.asked[fmt.Sprint(r.Agent, " ", models.AssistantTurns(r.Messages)+1, " ", r.Messages[len(r.Messages)-1].Content)]++
		w.mu.Unlock()
		return models.Collect(everythingScript.Generate(context.Background(), r))
	})
}

func (w *witness) total() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.asked {
		n += k
	}
	return n
}

// A process that dies after any of its commits goes on where it was: the same
// answer, and no model is asked again for a turn whose answer was on disk.
func TestCrashAfterEachCommit(t *testing.T) {
	const id = "run"
	ctx := t.Context()
	disk := memory.New()
	var mu sync.Mutex
	var images []*memory.Store
	var w witness
	rt := open(t, disk, durable.Options{OnCommit: func(uint64) {
		mu.Lock()
		defer mu.Unlock()
		images = append(images, disk.Clone())
	}}, define(w.model(), everything))
	if _, err := everything.Schedule(ctx, rt.Client(), "alert", durable.WithInstanceID(id)); err != nil {
		t.Fatal(err)
	}
	decide(ctx, t, rt.Client(), agents.Decision{Approve: true, By: "eva"})
	if got, err := everything.Wait(ctx, rt.Client(), id); err != nil || got != everythingFound {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	total := w.total()
	resumed := 0
	for n, image := range images {
		var again witness
		rt, err := durable.OpenStore(ctx, image.Clone(), durable.Options{}) // no definitions: nothing runs
		if err != nil {
			t.Fatal(err)
		}
		answered := answers(t, rt.Client())
		_, exists := rt.Client().Get(ctx, id)
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
		if durable.IsNotFound(exists) {
			continue
		}
		resumed++
		rt = open(t, image, durable.Options{}, define(again.model(), everything))
		if decided, err := agents.Inbox(ctx, rt.Client(), id, false); err != nil {
			t.Fatal(err)
		} else if len(decided) == 0 || decided[0].Status == agents.Waiting {
			decide(ctx, t, rt.Client(), agents.Decision{Approve: true, By: "eva"})
		}
		if got, err := everything.Wait(ctx, rt.Client(), id); err != nil || got != everythingFound {
			t.Errorf("crash after commit %d of %d: got %q, %v", n+1, len(images), got, err)
		}
		if got := again.total(); got != total-answered {
			t.Errorf("crash after commit %d: %d of %d turns were answered, and %d asked for again: %v", n+1, answered, total, got, again.asked)
		}
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if resumed < total { // each model turn is on disk at some commit that others are not
		t.Errorf("only %d crashes were tried for %d turns", resumed, total)
	}
}

// answers counts the model turns whose answer is in a history.
func answers(t *testing.T, c *durable.Client) (n int) {
	t.Helper()
	for s, err := range c.Query(t.Context(), durable.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		chats := map[int32]bool{}
		for ev, err := range c.History(t.Context(), s.ID, "") {
			switch {
			case err != nil:
				t.Fatal(err)
			case ev.Kind == history.TaskScheduled:
				chats[ev.ID] = strings.HasPrefix(ev.Name, "chat:")
			case (ev.Kind == history.TaskCompleted || ev.Kind == history.TaskFailed) && chats[ev.Answers]:
				n++
			}
		}
	}
	return n
}
