package taskhub

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/live"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Hub is what a client can ask of a task hub. [engine.Engine] is one, in the process that holds the
// store; [Remote] is one in every other process. The two give the same answers, and errors that wrap
// the same values with the same text; a Remote adds [ErrUnavailable] and [ErrNoAnswer].
//
// Methods that change something return when the change is on disk. All may be called from any
// goroutine. What they do is described at the engine's methods; what is said here is the difference
// that a socket makes.
type Hub interface {
	// Start schedules a new instance and gives its id.
	Start(ctx context.Context, s engine.Start) (id string, err error)
	// Raise sends an external event.
	Raise(ctx context.Context, id, name string, data history.Payload) error
	// Terminate ends an instance, and with recurse its children.
	Terminate(ctx context.Context, id string, output history.Payload, recurse bool) error
	// Suspend keeps an instance from going on.
	Suspend(ctx context.Context, id string, reason history.Payload) error
	// Resume ends a suspension.
	Resume(ctx context.Context, id string, reason history.Payload) error
	// Signal sends an operation to an entity, which gets it at the given time, or at once.
	Signal(ctx context.Context, id, op string, input history.Payload, at time.Time) error

	// Purge deletes instances that have ended, and with recurse their descendants, and gives their
	// number.
	Purge(ctx context.Context, ids []string, recurse bool) (int, error)

	// Restart begins an instance anew and gives the id of the new run.
	Restart(ctx context.Context, id string, newID bool) (string, error)
	// Rewind lets a failed instance go on from its failure.
	Rewind(ctx context.Context, id, reason string) error

	// Get gives an instance's state, with data also its input and output.
	Get(ctx context.Context, id string, data bool) (*engine.State, error)
	// Wait waits until an instance has ended.
	Wait(ctx context.Context, id string) (*engine.State, error)
	// WaitStart waits until an instance has begun.
	WaitStart(ctx context.Context, id string) (*engine.State, error)
	// Query and Entities may give a page that is shorter than asked for, since messages have a
	// limit: the end is where the token is "", and nowhere else.
	Query(ctx context.Context, q store.Query, data bool) (states []*engine.State, token string, err error)
	// Entity gives an entity's state.
	Entity(ctx context.Context, id string) (*engine.EntityState, error)
	// Entities lists entities, with data also their states.
	Entities(ctx context.Context, q engine.EntityQuery, data bool) (states []*engine.EntityState, token string, err error)
	// CleanEntities removes empty entities and frees orphaned locks, on one page of entities.
	CleanEntities(ctx context.Context, what engine.EntityCleaning, token string) (done engine.CleanedEntities, next string, err error)
	// Executions lists an instance's executions, oldest first.
	Executions(ctx context.Context, id string) ([]string, error)
	// History streams the history of one execution; "" is the current one.
	History(ctx context.Context, id, execution string) iter.Seq2[*history.Event, error]
	// OutsideEffects tells what is known of an instance's effects outside.
	OutsideEffects(ctx context.Context, id string) (*engine.Effects, error)
	// HistoryFrom is History from the event with a number on, counted from 0.
	HistoryFrom(ctx context.Context, id, execution string, number int) iter.Seq2[*history.Event, error]
	// Payload gives a payload by its hash.
	Payload(ctx context.Context, h history.Hash) ([]byte, error)

	// Publish tells those who watch an instance something that is kept in memory only.
	Publish(ctx context.Context, id string, data []byte) error
	// Watch follows instances and entities, until ctx ends. Where the other program is of a version
	// that has no live events, a change of everything is told once a second, without messages.
	Watch(ctx context.Context) (live.Watch, error)
}

var (
	_ Hub = (*engine.Engine)(nil)
	_ Hub = (*Remote)(nil)
)

// Info says which program serves a hub. Clients show it to people.
type Info struct {
	PID     int       // 0 in Serve: this process
	Program string    // "agentrun", "incident"
	Version string    // of the program
	Since   time.Time // when it took the store; zero in Serve: now
}

// String names the program as messages do: "agentrun 0.3.0 (pid 4711)".
func (i Info) String() string {
	name := i.Program
	if name == "" {
		name = "a program"
	}
	if i.Version != "" {
		name += " " + i.Version
	}
	if i.PID == 0 {
		return name
	}
	return fmt.Sprintf("%s (pid %d)", name, i.PID)
}
