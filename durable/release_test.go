package durable_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
)

// A payload lasts as long as one owner does: neither a release by one of two ends it,
// nor one by an operation that fails.
func TestRelease(t *testing.T) {
	noMatches := errors.New("no matches")
	shelf := durable.NewEntity[durable.Ref]("shelf")
	put := durable.Operation(shelf, "put", func(ctx *durable.EntityContext, s *durable.Ref, text string) (durable.Ref, error) {
		*s = ctx.Store([]byte(text))
		return *s, nil
	})
	share := durable.Operation(shelf, "share", func(ctx *durable.EntityContext, s *durable.Ref, r durable.Ref) (struct{}, error) {
		ctx.Keep(r)
		*s = r
		return struct{}{}, nil
	})
	burn := durable.Operation(shelf, "burn", func(ctx *durable.EntityContext, s *durable.Ref, matches bool) (struct{}, error) {
		ctx.Release(*s)
		if !matches {
			return struct{}{}, durable.NonRetriable(noMatches)
		}
		return struct{}{}, nil
	})
	type result struct {
		Book durable.Ref
		Seen []bool
	}
	steps := durable.NewOrchestration("steps", func(ctx *durable.Context, _ string) (r result, err error) {
		if r.Book, err = put.Call(ctx, "a", "a book"); err != nil {
			return r, err
		}
		if _, err = share.Call(ctx, "b", r.Book); err != nil {
			return r, err
		}
		for _, f := range []func() error{
			func() error { _, err := burn.Call(ctx, "a", true); return err },
			func() error {
				if _, err := burn.Call(ctx, "b", false); err == nil {
					return errors.New("it burns without matches")
				}
				return nil
			},
		} {
			if err := f(); err != nil {
				return r, err
			}
			_, err := ctx.Load(r.Book)
			r.Seen = append(r.Seen, err == nil)
		}
		_, err = burn.Call(ctx, "b", true)
		return r, err
	})
	for _, url := range []string{"memory:", "sqlite:" + filepath.Join(t.TempDir(), "x.db")} {
		ctx := t.Context()
		rt, err := durable.Open(ctx, url, shelf, steps)
		if err != nil {
			t.Fatal(err)
		}
		r, err := steps.Run(ctx, rt.Client(), "")
		if err != nil || fmt.Sprint(r.Seen) != "[true true]" {
			t.Errorf("%s: there before the last release: %v, %v", url, r.Seen, err)
		}
		if b, err := rt.Client().Load(ctx, r.Book); !durable.IsNotFound(err) {
			t.Errorf("%s: after it: %q, %v", url, b, err)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	}
}
