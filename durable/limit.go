package durable

import (
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Idempotent declares that repeating an activity's call does no harm, since whoever
// is called recognizes the idempotency key (see [Info]) and answers as before. It
// runs as without an option: at least once, and not before the step that calls it is
// on disk, for its key belongs to a decision that must not be lost.
func Idempotent() ActivityOption { return func(a *activity) { a.effect = engine.AtLeastOnce } }

// MaxConcurrent bounds how many calls of an activity run at once in this process,
// beside what Options.Activities bounds for all. Those beyond wait without
// occupying a place, and without keeping others of their instance waiting; the
// instances take turns. 0 or less: no bound.
func MaxConcurrent(n int) ActivityOption { return func(a *activity) { a.concurrent = max(n, 0) } }

// RateLimit bounds how often calls of an activity with the same key start: n times
// per the given time, of which up to n may come at once (a token bucket). The key
// is made from the input, perhaps a customer or a provider; nil: all calls have the
// same. An input that does not decode has the key "". Calls beyond wait as for
// MaxConcurrent. Each attempt counts. A program that starts knows nothing of what
// an earlier one did: its buckets are full.
//
// n and per must be above zero: otherwise Open fails.
func RateLimit[In any](key func(In) string, n int, per time.Duration) ActivityOption {
	return func(a *activity) {
		a.rate = &engine.Rate{N: n, Per: per}
		if key == nil {
			return
		}
		name := a.name
		a.rate.Key = func(p history.Payload) string {
			in, err := decode[In](p, "input of activity ", name)
			if err != nil {
				return ""
			}
			return key(in)
		}
	}
}
