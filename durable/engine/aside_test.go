package engine

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// scratched is a store with damaged data of one instance: its row, or its history.
type scratched struct {
	store.Store
	what  atomic.Value // "row", "history", or "replay": the history when it is read again
	num   int64
	reads atomic.Int64
}

func (s *scratched) Instance(ctx context.Context, id string) (*store.Instance, error) {
	in, err := s.Store.Instance(ctx, id)
	if err == nil && in.Num == s.num && s.what.Load() == "row" {
		return nil, errors.New("the row is scratched")
	}
	return in, err
}

func (s *scratched) History(ctx context.Context, last int64) iter.Seq2[[]byte, error] {
	in, err := s.Store.Query(ctx, store.Query{})
	if err == nil && s.what.Load() != "row" {
		for _, x := range in.Instances {
			if x.Num == s.num && x.Last == last && (s.what.Load() == "history" || s.reads.Add(1) > 1) {
				return func(yield func([]byte, error) bool) { yield([]byte{0xff, 0xff}, nil) }
			}
		}
	}
	return s.Store.History(ctx, last)
}

// An instance that cannot be read is set aside: whoever asks for it hears of it,
// it is logged once, and all else goes on. After the repair it goes on as well,
// with what was sent to it since.
func TestSetAside(t *testing.T) {
	for _, what := range []string{"row", "history", "replay"} {
		for _, evicted := range []bool{false, true} {
			t.Run(what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log bytes.Buffer
					s := memory.New()
					d := Definitions{Orchestrations: []Orchestration{
						orchestration("waits", waiting),
						orchestration("sender", func([]*history.Event) []*history.Event {
							return []*history.Event{{Kind: history.EventSent, Target: "a", Name: "go", Data: history.Payload("sent")}, complete("")}
						}),
					}}
					e := start(t, s, d, Options{})
					begin(t, e, "a", "waits", "")
					begin(t, e, "b", "waits", "")
					end(t, e)

					bad := &scratched{Store: s.Reopen(), num: 1}
					bad.what.Store(what)
					o := Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
					if evicted {
						o.Cached = -1
					}
					e = start(t, bad, d, o)
					waited := make(chan error, 1)
					go func() {
						_, err := e.Wait(t.Context(), "a")
						waited <- err
					}()
					synctest.Wait()
					for range 2 {
						err := e.Raise(t.Context(), "a", "go", history.Payload("lost"))
						if !errors.Is(err, ErrSetAside) || !strings.HasPrefix(err.Error(), "a: ") {
							t.Errorf("an event: %v", err)
						}
					}
					if err := <-waited; err == nil {
						t.Error("who waits heard nothing")
					}
					begin(t, e, "s", "sender", "")
					finish(t, e, "s")
					if err := e.Raise(t.Context(), "b", "go", history.Payload("fine")); err != nil {
						t.Fatal(err)
					}
					equal(t, "another one", finish(t, e, "b"), "fine")
					equal(t, "lines of the log", strings.Count(log.String(), "set aside"), 1)
					if err := e.Err(); err != nil {
						t.Fatal(err)
					}
					end(t, e)

					e = start(t, bad.Store.(*memory.Store).Reopen(), d, Options{})
					equal(t, "after the repair", finish(t, e, "a"), "sent")
					end(t, e)
				})
			})
		}
	}
}
