package evals

import (
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models/recorded"
)

// Answers gives every model turn of a recording that was answered: the hash of the
// request, and the answer. They are in the order of the instances, and in each in that
// of the answers. recorded.New makes a model of them, with which the run can be run
// again.
func Answers(rec *Recording) ([]recorded.Answer, error) {
	var answers []recorded.Answer
	for _, in := range rec.Instances {
		for _, x := range in.Executions {
			asked := map[int32]*Event{}
			for n, ev := range x.Events {
				switch {
				case ev.Kind == history.TaskScheduled && strings.HasPrefix(ev.Name, chatPrefix):
					asked[ev.ID] = ev
				case ev.Kind == history.TaskCompleted && asked[ev.Answers] != nil:
					a, err := rec.answer(asked[ev.Answers], ev)
					if err != nil {
						return nil, fmt.Errorf("%s: %w", history.Address{Instance: in.ID, Execution: x.ID, Number: n}, err)
					}
					answers = append(answers, a)
				}
			}
		}
	}
	return answers, nil
}

// answer makes what a model was asked in one turn, and what it answered.
func (r *Recording) answer(asked, answered *Event) (recorded.Answer, error) {
	input, err := r.data(asked)
	if err != nil {
		return recorded.Answer{}, err
	}
	result, err := r.data(answered)
	if err != nil {
		return recorded.Answer{}, err
	}
	req, err := agents.ChatRequest(r.Payload, input, result)
	if err != nil {
		return recorded.Answer{}, err
	}
	resp, err := agents.ChatResponse(r.Payload, result)
	if err != nil {
		return recorded.Answer{}, err
	}
	return recorded.Answer{Hash: req.Hash(), Response: *resp}, nil
}
