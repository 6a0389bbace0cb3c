package tools_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	tool := tools.New("t", "", func(ctx context.Context, _ none) (string, error) {
		tools.Progress(ctx, "half\xff")
		tools.Progress(ctx, map[string]int{"done": 2})
		tools.Progress(ctx, math.NaN())
		tools.Progress(ctx, strings.Repeat("x", 1<<20))
		return "", nil
	})
	var got []string
	ctx := tools.WithProgress(t.Context(), func(text string) { got = append(got, text) })
	if _, err := tool.Call(ctx, tools.Call{}); err != nil || len(got) != 4 {
		t.Fatalf("%d reports, %v", len(got), err)
	}
	if diff := cmp.Diff([]string{"half\uFFFD", `{"done":2}`}, got[:2]); diff != "" || !strings.Contains(got[2], "no JSON form") || len(got[3]) > tools.MaxProgress+100 {
		t.Errorf("reports %q and one of %d bytes (-want +got):\n%s", got[:3], len(got[3]), diff)
	}
	for _, ctx := range []context.Context{t.Context(), tools.WithProgress(t.Context(), nil)} {
		if _, err := tool.Call(ctx, tools.Call{}); err != nil {
			t.Errorf("where nobody watches: %v", err)
		}
	}
	tools.Progress(ctx, "outside of a call")
	if len(got) != 4 {
		t.Errorf("%q was reported", got[4:])
	}
}

func TestProgressIsBounded(t *testing.T) {
	tool := tools.New("t", "", func(ctx context.Context, _ none) (string, error) {
		for range 10 * tools.MaxProgressEvents {
			tools.Progress(ctx, "more")
		}
		return "", nil
	})
	var count int
	var last string
	ctx := tools.WithProgress(t.Context(), func(text string) { count++; last = text })
	if _, err := tool.Call(ctx, tools.Call{}); err != nil || count != tools.MaxProgressEvents || !strings.Contains(last, "no more progress") {
		t.Errorf("%d reports, the last %q, %v", count, last, err)
	}
}

// TestAfterTheCall has a function that does not hear of its timeout.
func TestAfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var setLate error
		tool := tools.New("t", "", func(ctx context.Context, _ none) (string, error) {
			time.Sleep(time.Hour)
			tools.Progress(ctx, "late")
			setLate = tools.SetState(ctx, "k", 1)
			return "", nil
		}, tools.Pure(), tools.Timeout(time.Minute))
		ctx := tools.WithProgress(t.Context(), func(text string) { t.Errorf("%q was reported after the call", text) })
		if _, err := tool.Call(ctx, tools.Call{}); err == nil {
			t.Error("no timeout")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if setLate == nil || !strings.Contains(setLate.Error(), "the call is over") {
			t.Errorf("state after the call: %v", setLate)
		}
	})
}
