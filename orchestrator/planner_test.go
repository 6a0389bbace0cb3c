package orchestrator_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/orchestrator"
)

// A step is told its task and what its dependencies found, and nothing else.
func TestPlanAndRun(t *testing.T) {
	m := scripted.New(
		plan(1,
			step("sum", "writer", "Sum it up.", "slow", "errors", "slow"),
			step("errors", "logs", "Look for errors."),
			step("slow", "metrics", "Look for slowness."),
		),
		says("logs", "Look for errors.", "No errors."),
		says("metrics", "Look for slowness.", "The pool is full."),
		says("writer", "Sum it up.\n\nWhat was found before:\n\n## slow (metrics)\n\nThe pool is full.\n\n## errors (logs)\n\nNo errors.", "A full pool."),
	)
	got, err := run(t, m, orchestrator.Planner("p", planner, crew, orchestrator.PlanOptions{}), "The shop is down.")
	if err != nil {
		t.Fatal(err)
	}
	want := "## sum (writer)\n\nA full pool.\n\n## errors (logs)\n\nNo errors.\n\n## slow (metrics)\n\nThe pool is full."
	if got.Text != want {
		t.Errorf("got %q, want %q", got.Text, want)
	}
}

// What the planner is told names the task, the team and the bounds.
func TestPlannerIsTold(t *testing.T) {
	var asked *models.Request
	m := scripted.Func(func(r *models.Request) (*models.Response, error) {
		text := "fine"
		if r.Agent == "planner" {
			asked, text = r, `{"steps":[{"id":"a","agent":"logs","task":"go"}]}`
		}
		return &models.Response{Message: models.AssistantMessage(text)}, nil
	})
	if _, err := run(t, m, orchestrator.Planner("p", planner, crew, orchestrator.PlanOptions{MaxSteps: 7}), "The shop is down."); err != nil {
		t.Fatal(err)
	}
	said := asked.Messages[len(asked.Messages)-1].Content
	for _, want := range []string{"The shop is down.", "- logs: Searches the logs.\n", "- writer\n", "At most 7 steps"} {
		if !strings.Contains(said, want) {
			t.Errorf("the planner is not told %q but:\n%s", want, said)
		}
	}
	if asked.Output == nil || !strings.Contains(string(asked.Output.Schema), "dependsOn") {
		t.Errorf("the planner is asked for %+v", asked.Output)
	}
}

// Steps run side by side as far as their dependencies allow: the models of both
// wait for each other, and a step starts while another one still runs.
func TestPlanRunsInParallel(t *testing.T) {
	meet := make(chan string)
	chained := make(chan struct{})
	m := scripted.Func(func(r *models.Request) (*models.Response, error) {
		text := "fine"
		switch task := r.Messages[len(r.Messages)-1].Content; {
		case r.Agent == "planner":
			text = `{"steps":[{"id":"a","agent":"logs","task":"A"},{"id":"b","agent":"metrics","task":"B"},{"id":"c","agent":"writer","task":"C","dependsOn":["a"]}]}`
		case task == "A":
			meet <- task
		case task == "B":
			<-meet
			<-chained // C, which needs only A, runs before B is done
		case strings.HasPrefix(task, "C"):
			close(chained)
		}
		return &models.Response{Message: models.AssistantMessage(text)}, nil
	})
	got, err := run(t, m, orchestrator.Planner("p", planner, crew, orchestrator.PlanOptions{}), "go")
	if err != nil || len(got.Findings) != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Plans that cannot be carried out go back with what is wrong with them.
func TestPlanGoesBack(t *testing.T) {
	good := step("a", "logs", "A")
	var many []orchestrator.Step
	for _, id := range strings.Split("abcd", "") {
		many = append(many, step(id, "logs", "A"))
	}
	for _, c := range []struct {
		name  string
		steps []orchestrator.Step
		want  string
	}{
		{"empty", nil, "it has no steps"},
		{"circle", []orchestrator.Step{good, step("x", "logs", "X", "y"), step("y", "logs", "Y", "z"), step("z", "logs", "Z", "y")}, "in a circle: y → z → y"},
		{"itself", []orchestrator.Step{step("x", "logs", "X", "x")}, "in a circle: x → x"},
		{"specialist", []orchestrator.Step{step("x", "dba", "X")}, `there is no specialist "dba"; there are: logs, metrics, writer`},
		{"id twice", []orchestrator.Step{good, good}, `two steps have the id "a"`},
		{"no id", []orchestrator.Step{good, step(" ", "logs", "X")}, "step 2 has no id"},
		{"no task", []orchestrator.Step{step("x", "logs", "")}, `step "x" has no task`},
		{"dependency", []orchestrator.Step{step("x", "logs", "X", "nothing")}, `"x" depends on "nothing", which is neither`},
		{"too many", many, "it has 4 steps; at most 3 are allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := orchestrator.PlanOptions{MaxSteps: 3}
			if c.name == "circle" {
				o.MaxSteps = 4
			}
			m := scripted.New(
				scripted.Entry{Agent: "planner", When: scripted.When{User: c.want}, Output: orchestrator.Plan{Steps: []orchestrator.Step{good}}},
				plan(1, c.steps...), says("logs", "A", "fine"))
			got, err := run(t, m, orchestrator.Planner("p", planner, crew, o), "go")
			if err != nil || got.Text != "## a (logs)\n\nfine" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// A planner that does not learn is given up, with the last problem.
func TestPlanStaysWrong(t *testing.T) {
	m := scripted.New(scripted.Entry{Agent: "planner", Always: true,
		Output: orchestrator.Plan{Steps: []orchestrator.Step{step("x", "dba", "X")}}})
	var asked int
	counted := scripted.Func(func(r *models.Request) (*models.Response, error) {
		asked++
		return models.Collect(m.Generate(t.Context(), r))
	})
	_, err := run(t, counted, orchestrator.Planner("p", planner, crew, orchestrator.PlanOptions{MaxRepairs: 3}), "go")
	if err == nil || asked != 4 || !strings.Contains(err.Error(), `after 3 corrections its plan still cannot be carried out: step "x": there is no specialist "dba"`) {
		t.Errorf("got %v after %d plans", err, asked)
	}
}

// A step that fails skips those that depend on it; the planner, told so, replaces
// it, and what was done is not done again.
func TestRevision(t *testing.T) {
	var mu sync.Mutex
	var tasks []string
	script := scripted.New(
		plan(1, step("end", "writer", "Sum up."), // depends on nothing, so done at once
			step("deep", "writer", "Dig.", "top"), step("top", "metrics", "Top."), step("last", "writer", "Last.", "deep"), step("ok", "logs", "Fine.")),
		scripted.Entry{Agent: "planner", When: scripted.When{User: "## top (metrics)\n\nFailed: orchestration agent:metrics failed"},
			Output: orchestrator.Plan{Steps: []orchestrator.Step{step("top", "logs", "Top by logs.", "ok"), step("more", "writer", "More.", "top")}}},
		fails("metrics", "Top."),
		says("writer", "Sum up.", "summed"),
		says("writer", "More.\n\nWhat was found before:\n\n## top (logs)\n\nlogged", "more"),
		says("logs", "Fine.", "fine"),
		says("logs", "Top by logs.\n\nWhat was found before:\n\n## ok (logs)\n\nfine", "logged"),
	)
	m := scripted.Func(func(r *models.Request) (*models.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if r.Agent != "planner" {
			task, _, _ := strings.Cut(r.Messages[len(r.Messages)-1].Content, ".")
			tasks = append(tasks, task)
		}
		return models.Collect(script.Generate(t.Context(), r))
	})
	got, err := run(t, m, orchestrator.Planner("p", planner, crew, orchestrator.PlanOptions{}), "go")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range got.Findings {
		s := f.ID + "=" + f.Result.Text
		if f.Skipped {
			s = f.ID + ": " + f.Error
		}
		found = append(found, s)
	}
	want := []string{"end=summed", "deep: it depends on top (metrics), which has no result", "top=logged",
		"last: it depends on deep (writer), which has no result", "ok=fine", "more=more"}
	if !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	slices.Sort(tasks)
	if want := []string{"Fine", "More", "Sum up", "Top", "Top by logs"}; !slices.Equal(tasks, want) {
		t.Errorf("the specialists did %q, want %q", tasks, want)
	}
}

// How often a planner is asked, and how it ends where nothing helps.
func TestRevisionsAreBounded(t *testing.T) {
	bad, none := plan(0, step("x", "logs", "X")), plan(2)
	bad.Always = true // at each turn
	for _, c := range []struct {
		name    string
		planner []scripted.Entry
		o       orchestrator.PlanOptions
		plans   int
		want    string
	}{
		{"by default", []scripted.Entry{bad}, orchestrator.PlanOptions{}, 2, "no agent had a result: x (logs): "},
		{"never", []scripted.Entry{bad}, orchestrator.PlanOptions{MaxRevisions: -1}, 1, "no agent had a result"},
		{"thrice", []scripted.Entry{bad}, orchestrator.PlanOptions{MaxRevisions: 3}, 4, "no agent had a result"},
		{"given up", []scripted.Entry{none, bad}, orchestrator.PlanOptions{MaxRevisions: 3}, 2, "no agent had a result"},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := scripted.New(append(c.planner, fails("logs", "X"))...)
			plans := 0
			m := scripted.Func(func(r *models.Request) (*models.Response, error) {
				if r.Agent == "planner" {
					plans++
				}
				return models.Collect(script.Generate(t.Context(), r))
			})
			_, err := run(t, m, orchestrator.Planner("p", planner, crew, c.o), "go")
			if err == nil || !strings.Contains(err.Error(), c.want) || plans != c.plans {
				t.Errorf("got %v after %d plans, want %q after %d", err, plans, c.want, c.plans)
			}
		})
	}
}

// A planner that fails at the revision loses nothing of what was found.
func TestRevisionFails(t *testing.T) {
	m := scripted.New(plan(1, step("a", "logs", "A"), step("b", "metrics", "B")),
		scripted.Entry{Agent: "planner", Turn: 2, Error: &scripted.Failure{Kind: models.KindQuota}},
		says("logs", "A", "fine"), fails("metrics", "B"))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, in string) ([]string, error) {
		out, err := orchestrator.PlanAndRun(ctx, planner, crew, map[string]string{"task": in}, orchestrator.PlanOptions{})
		return []string{out.Text, err.Error()}, nil
	})
	got, err := run(t, m, o, "go")
	if err != nil || !strings.HasPrefix(got[0], "## a (logs)\n\nfine\n\n## b (metrics)\n\nFailed: ") || !strings.HasPrefix(got[1], "planner planner: ") {
		t.Errorf("got %q, %v", got, err)
	}
}
