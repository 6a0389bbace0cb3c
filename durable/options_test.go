package durable_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// An option that means nothing where it is given is an error, not silence.
func TestStrayOptions(t *testing.T) {
	options := []struct {
		name string
		opt  durable.CallOption
		fits string // where: a(ctivity), c(hild), s(tart), n(ew execution)
	}{
		{"WithRetry", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 2}), "ac"},
		{"WithInstanceID", durable.WithInstanceID("some"), "cs"},
		{"WithVersion", durable.WithVersion(""), "acsn"},
		{"WithTags", durable.WithTags(map[string]string{"a": "b"}), "acs"},
		{"WithStartAt", durable.WithStartAt(time.Unix(1, 0)), "s"},
		{"WithReuse", durable.WithReuse(history.Failed), "s"},
		{"WithPriority", durable.WithPriority(1), "a"},
		{"WithStartToClose", durable.WithStartToClose(time.Hour), "a"},
		{"DropEvents", durable.DropEvents(), "n"},
	}
	leaf := durable.NewOrchestration("leaf", func(*durable.Context, int) (int, error) { return 0, nil })
	o := durable.NewOrchestration("o", func(ctx *durable.Context, which int) (string, error) {
		if which < 0 {
			return "", nil
		}
		opt, got := options[which].opt, ""
		for _, c := range []struct {
			letter string
			err    error
		}{
			{"a", second(double.Call(ctx, 1, opt))},
			{"c", second(leaf.Call(ctx, 1, opt))},
		} {
			if c.err == nil {
				got += c.letter
			} else if !errors.Is(c.err, durable.ErrInvalid) {
				return "", c.err
			}
		}
		if err := ctx.ContinueAsNew(-1, opt); !errors.Is(err, durable.ErrInvalid) {
			got += "n"
		}
		return got, nil
	})
	rt := open(t, o, leaf, double)
	for i, x := range options {
		t.Run(x.name, func(t *testing.T) {
			ctx := context.Background()
			got, err := o.Run(ctx, rt.Client(), i)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := leaf.Schedule(ctx, rt.Client(), 1, x.opt); !errors.Is(err, durable.ErrInvalid) {
				got += "s"
			}
			if fmt.Sprint(sorted(got)) != fmt.Sprint(sorted(x.fits)) {
				t.Errorf("it fits %q, want %q", got, x.fits)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func sorted(letters string) map[rune]bool {
	set := map[rune]bool{}
	for _, l := range letters {
		set[l] = true
	}
	return set
}
