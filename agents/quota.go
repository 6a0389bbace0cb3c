package agents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

// Quota is what all runs together may ask of one model: the limits that its provider
// sets, or lower ones. A run whose turn would be too much waits, durably and at no
// cost, and is served in the order of arrival.
//
// In no stretch of Per are there more than Requests model calls begun, and, as far as
// they are known before, more than Tokens taken. What a call will take is estimated
// when it is let go and corrected when its answer says what it took, so that calls
// after an estimate that was too low wait the longer. A limit may be used up in an
// instant; the next call then waits until that instant is Per ago, and up to a
// fifteenth of Per longer (or 0.2 s): times are not kept more exactly.
//
// A provider that answers "too many requests" all the same, and says when to come
// back, holds up everybody until then, for an hour at most.
//
// Quotas go by the names that agents ask by: a chain of models has the one of its own
// name. All programs on one task hub must set the same quotas.
type Quota struct {
	Requests int           // 0: any number
	Tokens   int           // of input and output; 0: any number
	Per      time.Duration // 0: a minute
}

const (
	// quotaSlots is into how many slots a quota's time is divided; in each, calls
	// are only counted. So a quota is small, however much it lets through.
	quotaSlots = 30
	// minQuotaSlot is the least that a slot is long: a call that does not begin within
	// a slot's time after it may asks again, and that must not happen all the time.
	minQuotaSlot = 100 * time.Millisecond
	// maxQuotaTokens bounds what one call counts for. It keeps sums from running over.
	maxQuotaTokens = 1 << 40
	// maxPushBack bounds for how long a provider can hold up a quota.
	maxPushBack = time.Hour
	// maxLate is how often a call that comes late asks again before it just begins.
	maxLate = 5
)

// quotaState is what has been let through lately, and what is promised.
//
// It has a time of its own, in nanoseconds: the clock's plus Ahead. That time never
// runs backwards, whatever the clock does, and it stands still while the provider
// wants to be left alone. So all promises move together and keep their order.
type quotaState struct {
	Ahead  int64 `json:"ahead,omitempty"`
	Seen   int64 `json:"seen"`             // the clock when it was last looked at
	Frozen int64 `json:"frozen,omitempty"` // the clock until which time stands still
	Width  int64 `json:"width"`            // of a slot
	// Slots are those that count for promises to come, in order; the last one is where
	// the last promise was made, and no later promise is for an earlier one.
	Slots []quotaSlot `json:"slots,omitempty"`
	// Era counts the resets. A promise of an earlier one is void.
	Era int64 `json:"era,omitempty"`
}

type quotaSlot struct {
	At       int64 `json:"at"` // where it begins
	Requests int64 `json:"requests"`
	Tokens   int64 `json:"tokens,omitempty"`
}

// quotaAsk asks for leave to call the model.
type quotaAsk struct {
	Tokens int64 `json:"tokens"` // that the call will take, about
	// Held is a promise that was made before: does it still stand?
	Held *quotaHold `json:"held,omitempty"`
}

// quotaHold says where a call is counted.
type quotaHold struct {
	Slot   int64 `json:"slot"`
	Tokens int64 `json:"tokens"` // that it counts for; 0: they are not counted
	Era    int64 `json:"era,omitempty"`
}

// quotaGrant is the leave to begin a call between two points in time.
type quotaGrant struct {
	quotaHold
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"` // none: there is no quota
}

// quotaSettle says what a call took.
type quotaSettle struct {
	quotaHold
	Used int64 `json:"used"`
}

// virtual gives the quota's time, after noting what the clock says.
func (s *quotaState) virtual(clock time.Time) int64 {
	now := clock.UnixNano()
	if s.Seen == 0 {
		s.Seen = now
	}
	if back := s.Seen - now; back > 0 { // the clock was set back: as if no time had passed
		s.Ahead += back
		s.Frozen -= back
	}
	s.Seen = now
	return max(now, s.Frozen) + s.Ahead
}

// clock gives the clock's time at a time of the quota.
func (s *quotaState) clock(v int64) time.Time { return time.Unix(0, v-s.Ahead).UTC() }

// width takes the length of a slot for a quota. When it changes, what was counted
// moves to slots that begin no earlier than the calls do.
func (s *quotaState) width(q Quota) (slots int64) {
	w := int64(max((q.Per+quotaSlots-1)/quotaSlots, minQuotaSlot))
	if s.Width != w {
		old := s.Slots
		s.Slots = nil
		for _, x := range old {
			x.At = (x.At + 2*s.Width + w - 1) / w * w
			s.count(x)
		}
		s.Width = w
	}
	return (int64(q.Per) + w - 1) / w
}

// count adds to the last slot, or to one after it.
func (s *quotaState) count(x quotaSlot) {
	if n := len(s.Slots) - 1; n >= 0 && s.Slots[n].At >= x.At {
		s.Slots[n].Requests += x.Requests
		s.Slots[n].Tokens += x.Tokens
		return
	}
	s.Slots = append(s.Slots, x)
}

// find gives the slot where a call is counted; nil if it does not matter any more.
func (s *quotaState) find(h quotaHold) *quotaSlot {
	if i := slices.IndexFunc(s.Slots, func(x quotaSlot) bool { return x.At == h.Slot }); i >= 0 && h.Era == s.Era {
		return &s.Slots[i]
	}
	return nil
}

// reserve promises a time for a call, or keeps the promise that it holds.
func (s *quotaState) reserve(clock time.Time, q Quota, ask quotaAsk) quotaGrant {
	n := s.width(q)
	now, w := s.virtual(clock), s.Width
	grant := func(h quotaHold) quotaGrant {
		return quotaGrant{h, s.clock(max(now, h.Slot)), s.clock(h.Slot + 2*w)}
	}
	if h := ask.Held; h != nil {
		if h.Era == s.Era && now < h.Slot+2*w {
			return grant(*h)
		}
		if x := s.find(*h); x != nil { // too late: it was never used
			x.Requests, x.Tokens = x.Requests-1, max(x.Tokens-h.Tokens, 0)
		}
	}
	h := quotaHold{Slot: now / w * w, Era: s.Era}
	if k := len(s.Slots); k > 0 {
		h.Slot = max(h.Slot, s.Slots[k-1].At)
	}
	if q.Tokens > 0 { // more than all of them at once would wait for ever
		h.Tokens = min(max(ask.Tokens, 1), int64(q.Tokens), maxQuotaTokens)
	}
	// A call in slot x begins before x+2 (see Until). So those that may begin less
	// than Per before this one are in the n+1 slots before its own.
	for {
		s.Slots = slices.DeleteFunc(s.Slots, func(x quotaSlot) bool { return x.At < h.Slot-(n+1)*w })
		var sum quotaSlot
		for _, x := range s.Slots {
			sum.Requests, sum.Tokens = sum.Requests+x.Requests, sum.Tokens+x.Tokens
		}
		if len(s.Slots) == 0 || (q.Requests <= 0 || sum.Requests < int64(q.Requests)) && (q.Tokens <= 0 || sum.Tokens+h.Tokens <= int64(q.Tokens)) {
			break
		}
		h.Slot = s.Slots[0].At + (n+2)*w
	}
	s.count(quotaSlot{At: h.Slot, Requests: 1, Tokens: h.Tokens})
	return grant(h)
}

// settle puts what a call took in the place of its estimate. What it took beyond it
// holds up the calls to come, also where the call itself is past.
func (s *quotaState) settle(clock time.Time, in quotaSettle) {
	more := min(in.Used, maxQuotaTokens) - in.Tokens
	if x := s.find(in.quotaHold); x != nil {
		x.Tokens = max(x.Tokens+more, 0)
	} else if more > 0 && s.Width > 0 {
		s.count(quotaSlot{At: s.virtual(clock) / s.Width * s.Width, Tokens: more})
	}
}

// pushBack lets time stand still, from now or from where it does so already.
func (s *quotaState) pushBack(clock time.Time, d time.Duration) {
	v := s.virtual(clock)
	until := clock.Add(min(d, maxPushBack)).UnixNano()
	if until > s.Frozen {
		s.Frozen = max(until, s.Seen)
		s.Ahead = v - s.Frozen
	}
}

// reset forgets all promises. Where there were some, what was let through before them
// is not known in full any more, so it counts as all that is allowed.
func (s *quotaState) reset(clock time.Time) {
	v := s.virtual(clock)
	s.Frozen, s.Ahead = s.Seen, v-s.Seen
	if n := len(s.Slots); n > 0 && s.Slots[n-1].At > v {
		s.Slots = []quotaSlot{{At: v / s.Width * s.Width, Requests: maxQuotaTokens, Tokens: maxQuotaTokens}}
		s.Era++
	}
}

// quotaEntity is the name of the entity of a quota. Its key is that of [quotaKey].
const quotaEntity = "quota"

// quotaKey is the key of a model's quota: its name, unless that is too long for one.
func quotaKey(model string) string {
	if len(model) <= 64 {
		return model
	}
	sum := sha256.Sum256([]byte(model))
	return model[:16] + hex.EncodeToString(sum[:16])
}

func quotaID(model string) string { return "@" + quotaEntity + "@" + quotaKey(model) }

// quotaDefinition defines the entities of quotas. The limits are the program's as
// it is now: an operation is not replayed, so a deploy changes them for runs under way
// too. It panics if a limit is negative.
func quotaDefinition(limits map[string]Quota) durable.Definition {
	byKey := map[string]Quota{}
	for model, q := range limits {
		if q.Requests < 0 || q.Tokens < 0 || q.Per < 0 {
			panic(fmt.Sprintf("agents: the quota of model %q is negative", model))
		}
		if q.Per == 0 {
			q.Per = time.Minute
		}
		byKey[quotaKey(model)] = q
	}
	e := durable.NewEntity[quotaState](quotaEntity)
	durable.Operation(e, "reserve", func(ctx *durable.EntityContext, s *quotaState, in quotaAsk) (quotaGrant, error) {
		q := byKey[ctx.Key()]
		if q.Requests == 0 && q.Tokens == 0 { // there was one when the run began
			ctx.Delete()
			return quotaGrant{At: ctx.Now()}, nil
		}
		return s.reserve(ctx.Now(), q, in), nil
	})
	durable.Operation(e, "settle", func(ctx *durable.EntityContext, s *quotaState, in quotaSettle) (struct{}, error) {
		s.settle(ctx.Now(), in)
		return struct{}{}, nil
	})
	durable.Operation(e, "pushback", func(ctx *durable.EntityContext, s *quotaState, d time.Duration) (struct{}, error) {
		s.pushBack(ctx.Now(), d)
		return struct{}{}, nil
	})
	durable.Operation(e, "reset", func(ctx *durable.EntityContext, s *quotaState, _ struct{}) (struct{}, error) {
		if s.Width == 0 { // nobody has asked yet
			ctx.Delete()
		}
		s.reset(ctx.Now())
		return struct{}{}, nil
	})
	return e
}

// reservation is the leave to call a model once, now. The zero one is that of a
// model without a quota.
type reservation struct {
	id   string // of the entity
	hold quotaHold
}

// waitQuota waits until the model may be called. limited says whether it has a quota
// at all; it must be recorded, so that a replay does the same. estimate is about how
// many tokens the call will take.
//
// A call that waited asks again when its time has come, since the provider may have
// held up everybody since then, and so does one that comes late, because the process
// was away: what was promised to it is void.
func waitQuota(ctx *durable.Context, limited bool, model string, estimate int64) (reservation, error) {
	if !limited {
		return reservation{}, nil
	}
	id, ask := quotaID(model), quotaAsk{Tokens: estimate}
	for late := 0; ; {
		g, err := durable.CallEntity[quotaGrant](ctx, id, "reserve", ask)
		if err != nil {
			return reservation{}, fmt.Errorf("quota of model %s: %w", model, err)
		}
		ask.Held = &g.quotaHold
		switch {
		case g.At.After(ctx.Now()):
			if _, err := ctx.TimerAt(g.At).Await(); err != nil {
				return reservation{}, err
			}
		case !g.Until.IsZero() && !ctx.Now().Before(g.Until) && late < maxLate:
			late++
		default:
			return reservation{id, g.quotaHold}, nil
		}
	}
}

// estimateTurn is about how many tokens the next turn of a run takes, after one that took
// last: what was sent and answered then is sent again, and the answer is about as long.
// It is too low where tools have answered at length, and corrected when the turn is done.
func estimateTurn(last models.Usage, p models.Params) int64 {
	const unknown = 500 // tokens, of an answer or of what begins a conversation
	answer := max(last.OutputTokens, unknown)
	if p.MaxTokens > 0 {
		answer = min(answer, int64(p.MaxTokens))
	}
	return max(last.InputTokens+last.OutputTokens, unknown) + answer
}

// settleQuota says what a call took. It does not wait. A call that failed, or does not
// say what it took, keeps its estimate: nobody knows better.
func settleQuota(ctx *durable.Context, r reservation, u models.Usage) error {
	used := u.InputTokens + u.OutputTokens
	if r.hold.Tokens == 0 || used <= 0 || used == r.hold.Tokens {
		return nil
	}
	return durable.SignalEntity(ctx, r.id, "settle", quotaSettle{r.hold, used})
}

// pushQuota lets nobody call the model for a time, as its provider asks for when it is
// asked too often. It does not wait.
func pushQuota(ctx *durable.Context, r reservation, d time.Duration) error {
	if r.id == "" || d <= 0 {
		return nil
	}
	return durable.SignalEntity(ctx, r.id, "pushback", d)
}

// ResetQuota forgets who waits for a model's quota, and that its provider asked for
// quiet. It is for queues of runs that were cancelled, since nobody else may use the
// time that they were promised. The next call may begin once all that was let through
// before is Per ago; runs that do wait line up anew, each when its old time has come.
func ResetQuota(ctx context.Context, c *durable.Client, model string) error {
	return c.Signal(ctx, quotaID(model), "reset", struct{}{})
}
