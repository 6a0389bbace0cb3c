package taskhub

import (
	"cmp"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// WorkersStats is who is connected to [Workers], and what waits.
type WorkersStats struct {
	Streams []StreamStats  // by worker, the longest connected first
	Waiting []WaitingStats // by kind, name and version
}

// WorkCounts is a number for each kind of work.
type WorkCounts struct{ Orchestrations, Activities, Entities int }

// StreamStats is a worker's connection.
type StreamStats struct {
	Worker    string    // as it calls itself: mostly host, process id and a random part; "" for one that does not
	UserAgent string    // its SDK
	Since     time.Time // when it connected
	InFlight  WorkCounts
	Limits    WorkCounts
	Filters   *WorkFilters // nil: it takes everything
	// FetchesHistory is set for a worker that fetches long histories by itself.
	FetchesHistory bool
}

// WorkFilters are the names that a worker takes, each with its versions: nil is any, "" is none.
type WorkFilters struct {
	Orchestrations, Activities map[string][]string
	Entities                   []string
}

// WaitingStats is how much waits for a worker.
type WaitingStats struct {
	Kind    string // "orchestration", "activity" or "entity"
	Name    string
	Version string
	Count   int
	Delayed int // of Count: workers gave them back, and they are not due again
}

// Stats tells how things are. It walks over everything that waits.
func (w *Workers) Stats() WorkersStats {
	var s WorkersStats
	w.mu.Lock()
	for stream := range w.streams {
		s.Streams = append(s.Streams, StreamStats{
			Worker: stream.worker, UserAgent: stream.agent, Since: stream.since, FetchesHistory: stream.streaming,
			InFlight: countsOf(stream.sink.Load()), Limits: countsOf(stream.takes.Limits), Filters: filtersOf(stream.takes.Filters),
		})
	}
	w.mu.Unlock()
	slices.SortFunc(s.Streams, func(a, b StreamStats) int {
		return cmp.Or(cmp.Compare(a.Worker, b.Worker), a.Since.Compare(b.Since))
	})
	for _, x := range w.list.Waiting() {
		s.Waiting = append(s.Waiting, WaitingStats{kindNames[x.Kind], x.Name, x.Version, x.Ready + x.Delayed, x.Delayed})
	}
	slices.SortFunc(s.Waiting, func(a, b WaitingStats) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return s
}

func countsOf(n [worklist.Kinds]int) WorkCounts {
	return WorkCounts{n[worklist.Orchestration], n[worklist.Activity], n[worklist.Entity]}
}

func filtersOf(f *[worklist.Kinds]worklist.Filter) *WorkFilters {
	if f == nil {
		return nil
	}
	out := &WorkFilters{Orchestrations: versionsOf(f[worklist.Orchestration]), Activities: versionsOf(f[worklist.Activity])}
	for name := range f[worklist.Entity] {
		out.Entities = append(out.Entities, name)
	}
	slices.Sort(out.Entities)
	return out
}

func versionsOf(f worklist.Filter) map[string][]string {
	out := make(map[string][]string, len(f))
	for name, versions := range f {
		out[name] = nil
		for v := range versions {
			out[name] = append(out[name], v)
		}
		slices.Sort(out[name])
	}
	return out
}
