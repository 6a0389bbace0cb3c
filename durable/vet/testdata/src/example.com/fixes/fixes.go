package fixes

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/google/uuid"
)

func order(c *durable.Context, from time.Time, m map[string]int) error {
	begun := time.Now()                 // want `^time: `
	_ = time.Since(begun)               // want `^time: `
	_ = time.Until(from.Add(time.Hour)) // want `^time: `
	time.Sleep(2 * time.Second)         // want `^sleep: `
	_ = uuid.NewString()                // want `^id: `
	_ = uuid.New().String()             // want `^id: `
	_ = uuid.New()                      // want `^id: `
	id, err := uuid.NewRandom()         // want `^id: `
	slog.Info("begun", "id", id)        // want `^log: `
	slog.Default().Warn("begun")        // want `^log: `
	for k := range m {                  // want `^maporder: `
		step(c, k)
	}
	_ = slices.Sorted(maps.Keys(m))
	return err
}

func step(ctx *durable.Context, _ string) {
	_ = ctx.Go(func(inner *durable.Context) error {
		_ = time.Now() // want `^time: `
		return nil
	})
}

type run struct {
	ctx  *durable.Context
	name string
}

func (r *run) now() time.Time {
	_ = r.ctx.NewGUID()
	return time.Now() // want `^time: `
}

// Nobody can say which of two it should be.
func two(a, b *durable.Context) time.Time {
	return time.Now() // want `^time: `
}

func unnamed(_ *durable.Context) time.Time {
	return time.Now() // want `^time: `
}
