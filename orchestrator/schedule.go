package orchestrator

import (
	"fmt"
	"slices"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

// job is a task that waits for others, runs, and ends in its finding.
type job struct {
	agent   *agents.Agent
	after   []*job // jobs that must have a result before this one starts
	input   func() string
	finding Finding

	task    *durable.Task[agents.Result] // nil: not started
	settled bool
}

// schedule runs jobs, of which none may wait for itself through others: each as
// soon as those that it waits for have results, at most limit at a time (0: no
// limit), earlier ones of the list first. It returns when all are settled.
func schedule(ctx *durable.Context, jobs []*job, limit int) {
	waiting := slices.Clone(jobs)
	var running []*job
	for len(waiting)+len(running) > 0 {
		waiting = slices.DeleteFunc(waiting, func(j *job) bool {
			switch {
			case j.skip():
				return true
			case limit > 0 && len(running) >= limit || !j.ready():
				return false
			}
			j.task = j.agent.Start(ctx, j.input())
			running = append(running, j)
			return true
		})
		if len(running) == 0 {
			continue // a skipped job may stand after those that its end skips
		}
		tasks := make([]durable.Awaitable, len(running))
		for i, j := range running {
			tasks[i] = j.task
		}
		durable.Any(ctx, tasks...)
		running = slices.DeleteFunc(running, (*job).settle)
	}
}

// ready reports whether everything that the job waits for has a result.
func (j *job) ready() bool {
	return !slices.ContainsFunc(j.after, func(x *job) bool { return !x.settled })
}

// skip settles a job that waits for one without a result.
func (j *job) skip() bool {
	i := slices.IndexFunc(j.after, func(x *job) bool { return x.settled && !x.finding.Done() })
	if i < 0 {
		return false
	}
	j.settled = true
	j.finding.Skipped = true
	j.finding.Error = fmt.Sprintf("it depends on %s, which has no result", j.after[i].finding.title())
	return true
}

// settle takes the result of a job that has ended.
func (j *job) settle() bool {
	if !j.task.Done() {
		return false
	}
	j.settled = true
	r, err := j.task.Await()
	if err != nil {
		j.finding.Error = err.Error()
		return true
	}
	j.finding.Result = r
	return true
}
