package durable_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
)

// Pages that are asked for one by one, each by the token of the one before, give
// every instance once, and a query may name the parent of children.
func TestPage(t *testing.T) {
	leaf := durable.NewOrchestration("leaf", func(*durable.Context, int) (int, error) { return 0, nil })
	root := durable.NewOrchestration("root", func(ctx *durable.Context, n int) (int, error) {
		for i := range n {
			if _, err := leaf.Call(ctx, i, durable.WithInstanceID(fmt.Sprintf("%s/%d", ctx.InstanceID(), i))); err != nil {
				return 0, err
			}
		}
		return n, nil
	})
	onEach(t, func(t *testing.T, d *disk) {
		rt := d.run(t, durable.Options{}, root, leaf)
		c := rt.Client()
		for _, id := range []string{"a", "b"} {
			if _, err := root.Run(t.Context(), c, 3, durable.WithInstanceID(id)); err != nil {
				t.Fatal(err)
			}
		}
		all := func(q durable.Query, limit int) (ids []string, pages int) {
			t.Helper()
			for token := ""; ; pages++ {
				states, next, err := c.Page(t.Context(), q, limit, token)
				if err != nil {
					t.Fatal(err)
				}
				if limit > 0 && len(states) > limit {
					t.Errorf("%d instances in a page of %d", len(states), limit)
				}
				for _, s := range states {
					ids = append(ids, s.ID)
				}
				if next == "" {
					return ids, pages + 1
				}
				token = next
			}
		}
		if ids, pages := all(durable.Query{Parent: "b"}, 2); !slices.Equal(ids, []string{"b/0", "b/1", "b/2"}) || pages != 2 {
			t.Errorf("children of b: %q in %d pages", ids, pages)
		}
		if ids, _ := all(durable.Query{Newest: true}, 3); !slices.Equal(ids, []string{"b/2", "b/1", "b/0", "b", "a/2", "a/1", "a/0", "a"}) {
			t.Errorf("all, newest first: %q", ids)
		}
		if ids, pages := all(durable.Query{}, 0); len(ids) != 8 || pages != 1 {
			t.Errorf("all: %q in %d pages", ids, pages)
		}
		for _, token := range []string{"n1", "x", "o", "o-1", "zzz"} {
			if _, _, err := c.Page(t.Context(), durable.Query{}, 1, token); !errors.Is(err, durable.ErrInvalid) {
				t.Errorf("token %q: %v", token, err)
			}
		}
		if _, _, err := c.Page(t.Context(), durable.Query{}, -1, ""); !errors.Is(err, durable.ErrInvalid) {
			t.Errorf("page of -1: %v", err)
		}
	})
}
