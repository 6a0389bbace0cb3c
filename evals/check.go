package evals

import (
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// check finds what does not fit together in a recording whose parts are all right.
func (r *Recording) check() error {
	if len(r.Instances) == 0 {
		return errors.New("the recording has no instances")
	}
	if r.Instances[0].ID != r.Root {
		return fmt.Errorf("the root is %q, but the first instance is %q", r.Root, r.Instances[0].ID)
	}
	seen := map[string]bool{}
	for i, in := range r.Instances {
		switch {
		case in.ID == "":
			return fmt.Errorf("instance %d has no id", i)
		case seen[in.ID]:
			return fmt.Errorf("the instance %q is there twice", in.ID)
		case i > 0 && !seen[in.Parent]:
			return fmt.Errorf("the instance %q comes before its parent %q, or without it", in.ID, in.Parent)
		case len(in.Executions) == 0:
			return fmt.Errorf("the instance %q has no executions", in.ID)
		}
		seen[in.ID] = true
		if err := r.checkExecutions(in); err != nil {
			return err
		}
	}
	for _, n := range r.Entities {
		if _, ok := r.index[n.StateHash]; !ok && !n.StateHash.IsZero() {
			return fmt.Errorf("entity %q: its state, payload %s, is not in the recording", n.ID, n.StateHash)
		}
	}
	return nil
}

func (r *Recording) checkExecutions(in *Instance) error {
	seen := map[string]bool{}
	for _, x := range in.Executions {
		if x.ID == "" || seen[x.ID] {
			return fmt.Errorf("the instance %q has two executions %q, or one without an id", in.ID, x.ID)
		}
		seen[x.ID] = true
		for n, ev := range x.Events {
			at := history.Address{Instance: in.ID, Execution: x.ID, Number: n}
			if ev.Kind == history.ExecutionStarted && (ev.Instance.ID != in.ID || ev.Instance.Execution != x.ID) {
				return fmt.Errorf("%s is the start of another one, %s of %q", at, ev.Instance.Execution, ev.Instance.ID)
			}
			if _, ok := r.index[ev.DataHash]; !ok && !ev.DataHash.IsZero() {
				return fmt.Errorf("%s: its data, payload %s, is not in the recording", at, ev.DataHash)
			}
		}
	}
	return nil
}
