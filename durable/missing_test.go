package durable_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// What waits because nobody gave its definition to Open is told of, once a name.
func TestForgottenDefinitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // written by turns of one instance after the other
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			within, cancel := ctx.WithTimeout(time.Hour)
			defer cancel()
			for range 2 {
				durable.StartActivity[string](within, "forgotten", "")
			}
			_, err := durable.CallEntity[string](within, "@lost@key", "op", "")
			return "", err
		})
		rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, o)
		if err != nil {
			t.Fatal(err)
		}
		defer closeRuntime(t, rt)
		for range 2 {
			_, _ = o.Run(t.Context(), rt.Client(), "")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := rt.Client().Schedule(ctx, "nobody", "", durable.WithVersion("2")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, want := range []string{"kind=activity name=forgotten", "kind=entity name=lost", "kind=orchestration name=nobody version=2"} {
			if n := strings.Count(log.String(), want); n != 1 {
				t.Errorf("%q is told %d times in\n%s", want, n, log.String())
			}
		}
	})
}
