package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/google/go-cmp/cmp"
)

type jsonValue = json.RawMessage

func stateful(fn func(ctx context.Context) error, opts ...tools.Option) tools.Tool {
	return tools.New("t", "", func(ctx context.Context, _ none) (string, error) { return "", fn(ctx) }, opts...)
}

func TestState(t *testing.T) {
	state := map[string]jsonValue{"count": jsonValue("1"), "user": jsonValue(`"ann"`), "gone": jsonValue("null")}
	ctx := tools.WithState(t.Context(), state)
	type cart struct {
		Items []string `json:"items"`
	}
	tool := stateful(func(ctx context.Context) error {
		count, ok, err := tools.State[int](ctx, "count")
		if count != 1 || !ok || err != nil {
			t.Errorf("count = %d, %v, %v", count, ok, err)
		}
		for _, key := range []string{"none", "gone"} {
			if _, ok, err := tools.State[int](ctx, key); ok || err != nil {
				t.Errorf("%s = %v, %v", key, ok, err)
			}
		}
		if user, ok, err := tools.State[int](ctx, "user"); user != 0 || !ok || err == nil {
			t.Errorf("user as a number = %d, %v, %v", user, ok, err)
		}
		mine := cart{[]string{"tea"}}
		err = errors.Join(tools.SetState(ctx, "count", count+1), tools.SetState(ctx, "cart", mine), tools.SetState(ctx, "user", nil))
		mine.Items[0] = "coffee"
		count, _, _ = tools.State[int](ctx, "count")
		_, user, _ := tools.State[string](ctx, "user")
		got, _, _ := tools.State[cart](ctx, "cart")
		if err != nil || count != 2 || user || got.Items[0] != "tea" {
			t.Errorf("after the changes: %d, %v, %v, %v", count, user, got, err)
		}
		return nil
	})
	for range 2 { // the second call must not see what the first one did
		result, err := tool.Call(ctx, tools.Call{})
		want := map[string]jsonValue{"count": jsonValue("2"), "cart": jsonValue(`{"items":["tea"]}`), "user": jsonValue("null")}
		if diff := cmp.Diff(want, result.Changes); diff != "" || err != nil {
			t.Fatalf("%v, changes (-want +got):\n%s", err, diff)
		}
		merged, err := tools.MergeState(state, result.Changes)
		delete(want, "user")
		if diff := cmp.Diff(want, merged); diff != "" || err != nil || len(state) != 3 {
			t.Fatalf("%v, %d in the old state, merged (-want +got):\n%s", err, len(state), diff)
		}
	}
}

func TestFailedCallChangesNothing(t *testing.T) {
	set := func(ctx context.Context) error { return tools.SetState(ctx, "k", 1) }
	fails := errors.New("no")
	if got, err := stateful(func(ctx context.Context) error { return errors.Join(set(ctx), fails) }).Call(t.Context(), tools.Call{}); !errors.Is(err, fails) || got.Changes != nil {
		t.Errorf("error: %v, %v", got.Changes, err)
	}
	answers := tools.New("t", "", func(ctx context.Context, _ none) (tools.Result, error) {
		return tools.Result{Content: "no", IsError: true}, set(ctx)
	})
	if got, err := answers.Call(t.Context(), tools.Call{}); err != nil || got.Changes != nil {
		t.Errorf("result that is an error: %v, %v", got.Changes, err)
	}
	for _, happened := range []bool{true, false} {
		tool := tools.New("t", "", nothing[none], tools.Reconcile(func(ctx context.Context, _ string, _ none) (string, bool, error) {
			return "", happened, set(ctx)
		}))
		got, err := tool.Reconcile(t.Context(), tools.Call{})
		if want := map[bool]string{true: "1"}[happened]; err != nil || string(got.Result.Changes["k"]) != want {
			t.Errorf("happened %v: changes %s, %v", happened, got.Result.Changes, err)
		}
	}
}

func TestStateIsBounded(t *testing.T) {
	half := strings.Repeat("x", tools.MaxState/2)
	ctx := tools.WithState(t.Context(), map[string]jsonValue{"a": jsonValue(`"` + half + `"`)})
	tool := stateful(func(ctx context.Context) error {
		if err := tools.SetState(ctx, "b", half); err == nil || !strings.Contains(err.Error(), "limit is 65536") {
			t.Errorf("a state over the limit: %v", err)
		}
		if _, ok, _ := tools.State[string](ctx, "b"); ok {
			t.Error("a change that was refused is there")
		}
		return tools.SetState(ctx, "a", half+"y")
	})
	if _, err := tool.Call(ctx, tools.Call{}); err != nil {
		t.Errorf("in the place of another value: %v", err)
	}
	removals := stateful(func(ctx context.Context) error {
		for i := range tools.MaxState {
			if err := tools.SetState(ctx, strings.Repeat("k", 200)+string(rune('\u1000'+i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if _, err := removals.Call(ctx, tools.Call{}); err == nil || !strings.Contains(err.Error(), "the changes of one call") {
		t.Errorf("removals without end: %v", err)
	}
	big := map[string]jsonValue{"b": jsonValue(`"` + half + `"`)}
	if _, err := tools.MergeState(map[string]jsonValue{"a": big["b"]}, big); err == nil {
		t.Error("two halves and their keys are no larger than the limit")
	}
	bad := stateful(func(ctx context.Context) error {
		for _, key := range []string{"", "\xff", strings.Repeat("k", 257)} {
			if tools.SetState(ctx, key, 1) == nil {
				t.Errorf("key %q is accepted", key)
			}
		}
		return tools.SetState(ctx, "k", math.NaN())
	})
	if _, err := bad.Call(ctx, tools.Call{}); err == nil {
		t.Error("NaN is accepted")
	}
	if err := tools.SetState(ctx, "k", 1); err == nil {
		t.Error("state is set outside of a call")
	}
	if _, ok, err := tools.State[int](ctx, "a"); ok || err != nil {
		t.Errorf("state outside of a call: %v, %v", ok, err)
	}
}
