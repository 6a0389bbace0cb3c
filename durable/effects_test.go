package durable_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// TestEffects sees effects as another process does, while they happen and later.
func TestEffects(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	slow := durable.NewActivity("slow", func(context.Context, string) (string, error) {
		close(begun)
		<-goOn
		return "done", nil
	}, durable.AtMostOnce())
	lost := durable.NewActivity("lost", func(context.Context, string) (string, error) {
		return "", durable.Unknown(errors.New("the line was cut"))
	}, durable.AtMostOnce())
	bad := durable.NewActivity("bad", func(context.Context, string) (string, error) { return "", errors.New("no") }, durable.AtMostOnce())
	free := durable.NewActivity("free", func(context.Context, string) (string, error) { return "", nil })
	o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
		_, _ = lost.Call(ctx, "")
		_, _ = bad.Call(ctx, "")
		_, _ = free.Call(ctx, "")
		return slow.Call(ctx, "")
	})
	url := "sqlite:" + filepath.Join(t.TempDir(), "hub.db")
	rt := must[*durable.Runtime](t)(durable.Open(t.Context(), url, o, slow, lost, bad, free))
	defer rt.Close()
	other := must[*durable.Connection](t)(durable.Connect(t.Context(), url, durable.Options{}))
	defer other.Close()
	start(t, rt, o, "i")
	<-begun
	look := func() string {
		t.Helper()
		var text string
		for _, x := range must[*durable.Effects](t)(other.Effects(t.Context(), "i")).Records {
			text += fmt.Sprintf("%s receipt=%v failed=%v running=%v\n", x.Activity, !x.Receipt.IsZero(), x.Failed, x.Running)
			if x.Intent.IsZero() || len(x.Key) != 32 || x.Execution == "" {
				t.Errorf("record %+v", x)
			}
		}
		return text
	}
	const before = "lost receipt=false failed=false running=false\nbad receipt=true failed=true running=false\n"
	equal(t, "while it runs", look(), before+"slow receipt=false failed=false running=true\n")
	close(goOn)
	must[string](t)(o.Wait(t.Context(), rt.Client(), "i"))
	equal(t, "afterwards", look(), before+"slow receipt=true failed=false running=false\n")
	if _, err := other.Effects(t.Context(), "nobody"); !durable.IsNotFound(err) {
		t.Errorf("of nobody: %v", err)
	}
}

// TestEffectKeys compares the keys that activities were given with those that are made of
// the history, through continue-as-new and rewind.
func TestEffectKeys(t *testing.T) {
	var mu sync.Mutex
	given := map[string]int{}
	broken := true
	note := func(ctx context.Context) {
		info, _ := durable.Info(ctx)
		mu.Lock()
		defer mu.Unlock()
		given[info.Key]++
	}
	free := durable.NewActivity("free", func(ctx context.Context, _ int) (string, error) { note(ctx); return "", nil })
	once := durable.NewActivity("once", func(ctx context.Context, _ int) (string, error) {
		note(ctx)
		if broken {
			return "", durable.NonRetriable(errors.New("broken"))
		}
		return "", nil
	}, durable.AtMostOnce())
	o := durable.NewOrchestration("o", func(ctx *durable.Context, n int) (string, error) {
		if _, err := free.Call(ctx, n); err != nil {
			return "", err
		}
		if _, err := free.Call(ctx, n); err != nil {
			return "", err
		}
		if n < 3 && n != 1 {
			return "", ctx.ContinueAsNew(n + 1)
		}
		if _, err := once.Call(ctx, n); err != nil {
			return "", err
		}
		if n == 1 {
			return "", ctx.ContinueAsNew(n + 1)
		}
		return "", nil
	})
	rt := open(t, o, free, once)
	client := rt.Client()
	id := must[string](t)(o.Schedule(t.Context(), client, 0))
	if _, err := o.Wait(t.Context(), client, id); err == nil {
		t.Fatal("it does not fail")
	}
	broken = false
	if err := client.Rewind(t.Context(), id, "mended"); err != nil {
		t.Fatal(err)
	}
	must[string](t)(o.Wait(t.Context(), client, id))

	effects := must[*durable.Effects](t)(client.Effects(t.Context(), id))
	told := map[string]bool{}
	for _, k := range effects.Keys {
		for ev, err := range client.History(t.Context(), id, k.Execution) {
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == history.TaskScheduled {
				told[k.Of(ev)] = true
			}
		}
	}
	if len(told) != 10 || len(effects.Keys) != 5 {
		t.Errorf("%d keys in %d executions, want 10 in 5: four times two of free, two of once, and a rewound execution", len(told), len(effects.Keys))
	}
	for key := range told {
		if given[key] == 0 {
			t.Errorf("no call was given the key %s", key)
		}
	}
	if len(given) != len(told) {
		t.Errorf("%d keys were given, %d told", len(given), len(told))
	}
	for _, x := range effects.Records {
		if !told[x.Key] {
			t.Errorf("the record of %s has the key %s, which no call in the history has", x.Activity, x.Key)
		}
	}
	if len(effects.Records) != 3 {
		t.Errorf("%d records, want 3: one call failed and was made again", len(effects.Records))
	}
}
