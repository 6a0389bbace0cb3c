package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// Hooks are told of what an agent does, and may change some of it. They run within
// the step that they are about, so what they change is recorded with it, and a replay
// calls none of them. A step that is repeated after a crash, or tried again, calls
// its hooks again. All are optional, and called from many goroutines at once.
type Hooks struct {
	// RunStart and RunEnd are steps of their own, before the first turn and after the
	// last one. An error of either fails the run, once it was tried again in vain.
	RunStart func(ctx context.Context, s RunState) error
	RunEnd   func(ctx context.Context, s RunState, end RunEnd) error

	// BeforeModel may answer in the place of the model; nil leaves it to the model. It
	// must not change the request: instructions, tools and guardrails do that, in steps
	// that are recorded. An error fails the turn as one of the model does.
	BeforeModel func(ctx context.Context, req *models.Request) (*models.Response, error)
	// AfterModel may change the answer before it is recorded.
	AfterModel func(ctx context.Context, req *models.Request, resp *models.Response) error

	// BeforeTool may answer in the place of the tool; nil leaves it to the tool. An
	// error is told to the model, and the tool is not called.
	BeforeTool func(ctx context.Context, t tools.Tool, call tools.Call) (*tools.Result, error)
	// AfterTool may change the result before it is recorded, also one that the tool's
	// Reconcile has found. Content is all of it; what the tool's limit allows is cut
	// afterwards. It is not called for a call that failed. If it panics, the run fails.
	AfterTool func(ctx context.Context, t tools.Tool, call tools.Call, res *tools.Result)
}

// RunEnd is how a run ended, for [Hooks].
type RunEnd struct {
	Result Result `json:"result"`
	Error  string `json:"error,omitempty"` // of a run that failed
}

// chain are the hooks that apply to an agent: the program's around its own.
type chain []*Hooks

func (a *Agent) hooks(o *Options) chain { return chain{&o.Hooks, &a.config.Hooks} }

func (c chain) beforeModel(ctx context.Context, req *models.Request) (*models.Response, error) {
	for _, h := range c {
		if h.BeforeModel == nil {
			continue
		}
		if resp, err := h.BeforeModel(ctx, req); resp != nil || err != nil {
			return resp, err
		}
	}
	return nil, nil
}

func (c chain) afterModel(ctx context.Context, req *models.Request, resp *models.Response) error {
	for i := len(c) - 1; i >= 0; i-- {
		if f := c[i].AfterModel; f != nil {
			if err := f(ctx, req, resp); err != nil {
				return err
			}
		}
	}
	return resp.Validate() // a hook may have made something that no provider takes back
}

func (c chain) beforeTool(ctx context.Context, t tools.Tool, call tools.Call) (*tools.Result, error) {
	for _, h := range c {
		if h.BeforeTool == nil {
			continue
		}
		if res, err := h.BeforeTool(ctx, t, call); res != nil || err != nil {
			return res, err
		}
	}
	return nil, nil
}

// afterTool shows the hooks a result whole, and cuts what they leave: what they take out
// must not come back when the model reads on. A hook that panics must not make a call
// that took effect look like one that failed.
func (c chain) afterTool(ctx context.Context, t tools.Tool, call tools.Call, res *tools.Result) (err error) {
	if !slices.ContainsFunc(c, func(h *Hooks) bool { return h.AfterTool != nil }) {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = durable.NonRetriable(fmt.Errorf("tool %s was called and has answered; its hook AfterTool panicked: %v", t.Name(), p))
		}
	}()
	if res.Whole != "" {
		res.Content, res.Whole, res.Shown = res.Whole, "", 0
	}
	for i := len(c) - 1; i >= 0; i-- {
		if f := c[i].AfterTool; f != nil {
			f(ctx, t, call, res)
		}
	}
	*res = t.Fit(*res)
	return nil
}

// hookInput is the input of a run's hook.
type hookInput struct {
	State stateInput `json:"state"`
	End   *RunEnd    `json:"end,omitempty"` // nil: the run begins
}

// hookActivity calls the hooks of a run's start and end.
func (a *Agent) hookActivity(o *Options) durable.Definition {
	return step(a, hookPrefix+a.config.Name, func(ctx context.Context, in hookInput) (struct{}, error) {
		info, _ := durable.Info(ctx)
		load := func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) }
		s, err := in.State.read(memory.Loader(load), a.config.Name, info.Instance)
		if err != nil {
			return struct{}{}, err
		}
		var errs []error
		for _, h := range a.hooks(o) {
			switch {
			case in.End == nil && h.RunStart != nil:
				errs = append(errs, h.RunStart(ctx, s))
			case in.End != nil && h.RunEnd != nil:
				errs = append(errs, h.RunEnd(ctx, s, *in.End))
			}
		}
		return struct{}{}, errors.Join(errs...)
	})
}

// started calls the hooks of the run's start.
func (r *run) started() error {
	if !r.manifest.StartHook {
		return nil
	}
	return r.callHook(r.ctx, nil)
}

// ended calls the hooks of the run's end, also of one that is cancelled, and gives
// the error that the run ends with.
func (r *run) ended(cause error) error {
	if !r.manifest.EndHook {
		return cause
	}
	end := &RunEnd{Result: r.state.Result}
	if cause != nil {
		end.Error = reason(cause)
	}
	switch err := r.callHook(r.ctx.WithoutCancel(), end); {
	case err == nil:
		return cause
	case cause == nil:
		return err
	default:
		return fmt.Errorf("%w; then its hook RunEnd failed: %w", cause, err)
	}
}

func (r *run) callHook(ctx *durable.Context, end *RunEnd) error {
	_, err := durable.CallActivity[struct{}](ctx, hookPrefix+r.agent.config.Name, hookInput{r.stateInput(), end}, r.retry())
	return err
}
