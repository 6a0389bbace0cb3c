package agents

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/tools"
)

// Kind says what a request asks people for.
type Kind string

// Kinds of requests.
const (
	KindTool      Kind = "tool"      // may this tool be called with these arguments?
	KindOutcome   Kind = "outcome"   // did this call, which was cut off, take effect?
	KindQuestion  Kind = "question"  // whatever Question says
	KindGuardrail Kind = "guardrail" // may this pass, which a guardrail left open?
)

// Status is where a request stands.
type Status string

// Statuses of a request. All but Waiting are final: a request is decided once.
const (
	Waiting   Status = "waiting"
	Approved  Status = "approved"
	Rejected  Status = "rejected"
	Expired   Status = "expired"   // nobody decided in time
	Withdrawn Status = "withdrawn" // the run ended first
)

// Request is what people are asked.
type Request struct {
	Kind     Kind   `json:"kind"`
	Question string `json:"question,omitempty"`
	Agent    string `json:"agent,omitempty"`
	Tool     string `json:"tool,omitempty"`
	// Arguments are the tool's, as the model wrote them. Where several must agree, they are
	// what somebody has put in their place.
	Arguments string `json:"arguments,omitempty"`
	// Key is the idempotency key of a call that was cut off, by which people can look
	// for its effect.
	Key string `json:"key,omitempty"`
	// By names those whom the request is meant for, for the inbox to show. It is
	// not checked: whoever may open the store may decide, and is recorded.
	By     []string      `json:"by,omitempty"`
	Needed int           `json:"needed,omitempty"` // how many must agree; 0: one
	Within time.Duration `json:"within,omitempty"` // how long they have; 0: for ever
}

// Approval is a request and what became of it: the state of its entity, and what
// the inbox shows.
type Approval struct {
	Request
	ID        string     `json:"id"`
	Run       string     `json:"run"`      // the run at the root
	Instance  string     `json:"instance"` // who waits
	Digest    string     `json:"digest"`   // of the arguments that were shown
	Requested time.Time  `json:"requested"`
	Deadline  time.Time  `json:"deadline,omitzero"`
	Status    Status     `json:"status"`
	Decisions []Decision `json:"decisions,omitempty"`
}

// Decision is what one person decided.
type Decision struct {
	Approve bool   `json:"approve"`
	By      string `json:"by"` // who
	// Arguments replace those of the request; only with Approve. Where several must agree,
	// who approved of others before does so no more, and may decide again.
	Arguments string `json:"arguments,omitempty"`
	// Digest, if not "", is [Approval].Digest as the person was shown it: an approval does
	// not count if somebody has replaced the arguments since.
	Digest  string    `json:"digest,omitempty"`
	Comment string    `json:"comment,omitempty"`
	From    string    `json:"from,omitempty"` // where: cli, scenario, …
	At      time.Time `json:"at,omitzero"`    // set when it is recorded
	// Nonce tells decisions apart that are otherwise alike. [Decide] sets it where it
	// is ""; whoever gives a decision again, because the answer was lost, gives the
	// same one, and it counts once.
	Nonce string `json:"nonce,omitempty"`
}

// Approvals is the entity of all requests. It, and not the run, says whether a
// decision counts: one decision per request, in time, wherever it comes from and
// whether or not the run's program is there.
var Approvals = durable.Bundle(approvals, notify)

// ApprovalPrefix begins the id of every approval's entity.
const ApprovalPrefix = "@approval@"

var approvals = durable.NewEntity[Approval]("approval")

var requestOp = durable.Operation(approvals, "request", func(ctx *durable.EntityContext, a *Approval, in Approval) (Status, error) {
	if a.ID != "" {
		return "", fmt.Errorf("approval %s exists already", ctx.Key())
	}
	*a = in
	a.ID, a.Status = ctx.Key(), Waiting
	a.Needed = max(a.Needed, 1)
	return Waiting, nil
})

var decideOp = durable.Operation(approvals, "decide", func(ctx *durable.EntityContext, a *Approval, d Decision) (Status, error) {
	if a.ID == "" {
		ctx.Delete()
		return "", fmt.Errorf("there is no request %s", ctx.Key())
	}
	d.At = ctx.Now()
	if err := a.take(d); err != nil {
		return "", err
	}
	return a.Status, a.tell(ctx)
})

// take records a decision, or says why it does not count.
func (a *Approval) take(d Decision) error {
	switch {
	case a.Status != Waiting:
		return fmt.Errorf("request %s is %s", a.ID, a.standing())
	case !a.Deadline.IsZero() && d.At.After(a.Deadline):
		return fmt.Errorf("request %s ended at %s", a.ID, a.Deadline.Format(time.DateTime))
	case d.By == "":
		return errors.New("a decision says who decided")
	case d.Approve && d.Digest != "" && d.Digest != a.Digest:
		return fmt.Errorf("the arguments of request %s were replaced since they were shown", a.ID)
	}
	if d.Arguments == a.Arguments {
		d.Arguments = "" // they are not replaced
	}
	if d.Arguments == "" && slices.ContainsFunc(a.counting(), func(x Decision) bool { return x.By == d.By }) {
		return fmt.Errorf("%s has decided about request %s before", d.By, a.ID)
	}
	a.Decisions = append(a.Decisions, d)
	switch {
	case !d.Approve:
		a.Status = Rejected
	case a.Agreed() >= a.Needed:
		a.Status = Approved
	case d.Arguments != "": // that is what others are shown, and agree to
		a.Arguments, a.Digest = d.Arguments, tools.Digest(d.Arguments)
	}
	return nil
}

// counting are the decisions about the arguments as they are: whoever replaces them
// leaves behind what was decided before.
func (a *Approval) counting() []Decision {
	for i, d := range slices.Backward(a.Decisions) {
		if d.Arguments != "" {
			return a.Decisions[i:]
		}
	}
	return a.Decisions
}

// Agreed is how many people have approved, of those who are Needed: of the request with
// the arguments that it has now.
func (a Approval) Agreed() (n int) {
	for _, d := range a.counting() {
		if d.Approve {
			n++
		}
	}
	return n
}

// tell wakes the run once the request is decided. An entity cannot send events,
// so a small orchestration does it: in the same commit, as far as it matters.
func (a *Approval) tell(ctx *durable.EntityContext) error {
	if a.Status == Waiting {
		return nil
	}
	return notify.StartFrom(ctx, notice{a.Instance, eventName(a.ID)}, durable.WithInstanceID("notify:"+a.ID))
}

// settleOp ends a request whose time is up, and tells how it stands. Its answer is
// the truth: a decision that was recorded in time wins over the timer.
var settleOp = durable.Operation(approvals, "settle", func(ctx *durable.EntityContext, a *Approval, end Status) (Approval, error) {
	if a.Status == Waiting && end != "" {
		a.Status = end
	}
	return *a, nil
})

type notice struct {
	Instance string `json:"instance"`
	Event    string `json:"event"`
}

// notify raises an event for an entity.
var notify = durable.NewOrchestration("agentrun.notify", func(ctx *durable.Context, n notice) (struct{}, error) {
	return struct{}{}, ctx.SendEvent(n.Instance, n.Event, nil)
})

func eventName(id string) string { return "approval:" + id }

// Pending is a request that an orchestration has made and that may not be decided
// yet.
type Pending struct {
	ID       string
	asker    *durable.Context
	decided  *durable.Task[struct{}]
	deadline *durable.Task[time.Time] // nil: none
}

// Ask makes a request, which is in the inbox from then on, and does not wait.
// Waiting costs nothing, however long it takes, and survives restarts.
func Ask(ctx *durable.Context, req Request) (*Pending, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := Approval{Request: req, Instance: ctx.InstanceID(), Run: ctx.Tags()[RunTag], Requested: ctx.Now()}
	if a.Run == "" {
		a.Run = ctx.InstanceID()
	}
	if req.Arguments != "" {
		a.Digest = tools.Digest(req.Arguments)
	}
	p := &Pending{asker: ctx}
	if req.Within > 0 {
		a.Deadline = ctx.Now().Add(req.Within)
		p.deadline = ctx.TimerAt(a.Deadline)
	}
	for try := 0; ; try++ {
		p.ID = ctx.NewGUID()[:8]                               // short, for people to type
		_, err := requestOp.Call(ctx.WithoutCancel(), p.ID, a) // to know that it is there, and take it back
		if err == nil {
			break
		}
		if try == 4 {
			return nil, err
		}
	}
	p.decided = durable.WaitForEvent[struct{}](ctx, eventName(p.ID))
	return p, nil
}

func (p *Pending) awaitables() []durable.Awaitable {
	if p.deadline == nil {
		return []durable.Awaitable{p.decided}
	}
	return []durable.Awaitable{p.decided, p.deadline}
}

// Await waits until the request is decided or its time is up, and gives it as it
// then stands. Where those who wait are cancelled, the request is withdrawn, and the
// error says why.
func (p *Pending) Await(ctx *durable.Context) (Approval, error) {
	durable.Any(ctx, append(p.awaitables(), ctx.Done())...)
	if canceled := cmp.Or(ctx.Err(), p.asker.Err()); canceled != nil {
		a, err := settleOp.Call(ctx.WithoutCancel(), p.ID, Withdrawn)
		return a, cmp.Or(err, canceled)
	}
	end := Status("")
	if !p.decided.Done() {
		end = Expired
	}
	return settleOp.Call(ctx, p.ID, end)
}

// Final is the decision that settled the request; false if none did.
func (a Approval) Final() (Decision, bool) {
	if len(a.Decisions) == 0 || a.Status != Approved && a.Status != Rejected {
		return Decision{}, false
	}
	return a.Decisions[len(a.Decisions)-1], true
}

// edited gives the arguments that a person put in the place of these; nil if none
// did. Of several, the last one's count.
func (a Approval) edited(original string) *string {
	if c := a.counting(); len(c) > 0 && c[0].Arguments != "" && c[0].Arguments != original {
		return &c[0].Arguments
	}
	return nil
}

// refusal says for the model why a call was not made.
func (a Approval) refusal() string {
	switch a.Status {
	case Rejected:
		return "a person has rejected this call" + a.comments()
	case Expired:
		return "nobody approved this call in time"
	}
	return "this call was not approved: the request is " + string(a.Status)
}

func (a Approval) comments() string {
	var b strings.Builder
	for _, d := range a.Decisions {
		if d.Comment != "" {
			fmt.Fprintf(&b, "; %s says: %s", d.By, d.Comment)
		}
	}
	return b.String()
}

// standing tells how the request was settled, for people.
func (a Approval) standing() string {
	if d, ok := a.Final(); ok {
		return fmt.Sprintf("%s already, by %s at %s", a.Status, d.By, d.At.Format(time.DateTime))
	}
	return string(a.Status) + " already"
}

// ErrNotCounted is wrapped by what Decide gives for a decision that came too late
// or does not count for another reason, which it names.
var ErrNotCounted = errors.New("the decision does not count")

// Decide gives a decision about the request with this id. It returns when the
// decision is on disk and says whether it counts; with no program of the run
// alive it counts all the same, and the run acts on it when it is resumed.
func Decide(ctx context.Context, c *durable.Client, id string, d Decision) (Approval, error) {
	a, ok, err := approvals.Get(ctx, c, id)
	switch {
	case err != nil:
		return a, err
	case !ok:
		return a, fmt.Errorf("there is no request %q: %w", id, durable.ErrNotFound)
	case d.Nonce != "" && a.has(d.Nonce):
		return a, nil
	case a.Status != Waiting:
		return a, fmt.Errorf("%w: request %s is %s", ErrNotCounted, id, a.standing())
	}
	if gone, err := over(ctx, c, a.Instance); err != nil {
		return a, err
	} else if gone {
		return a, errors.Join(fmt.Errorf("%w: the run %s has ended", ErrNotCounted, a.Run), Withdraw(ctx, c, id))
	}
	if d.Arguments != "" && !d.Approve {
		return a, fmt.Errorf("%w: edited arguments go with an approval", durable.ErrInvalid)
	}
	if d.Arguments != "" && a.Kind != KindTool {
		return a, fmt.Errorf("%w: request %s is not about a call to be made, so it takes no arguments", durable.ErrInvalid, id)
	}
	if d.Nonce == "" {
		d.Nonce = nonce()
	}
	if err := decideOp.Send(ctx, c, id, d); err != nil {
		return a, err
	}
	a, _, err = approvals.Get(ctx, c, id)
	if err != nil {
		return a, err
	}
	if a.has(d.Nonce) {
		return a, nil
	}
	trial := a // the entity refused it: say why as it did
	d.At = time.Now()
	if err := trial.take(d); err != nil {
		return a, fmt.Errorf("%w: %w", ErrNotCounted, err)
	}
	return a, fmt.Errorf("%w: request %s is %s", ErrNotCounted, id, a.standing())
}

// has reports whether a decision was counted.
func (a *Approval) has(nonce string) bool {
	return slices.ContainsFunc(a.Decisions, func(x Decision) bool { return x.Nonce == nonce })
}

// Withdraw ends a request that nobody needs any more, because its run has ended.
func Withdraw(ctx context.Context, c *durable.Client, id string) error {
	return settleOp.Send(ctx, c, id, Withdrawn)
}

// over reports whether nobody waits for a decision any more: the instance that
// asked has ended, however that was.
func over(ctx context.Context, c *durable.Client, instance string) (bool, error) {
	s, err := c.Get(ctx, instance)
	if durable.IsNotFound(err) {
		return true, nil
	}
	return err == nil && s.Status.Ended(), err
}

// Inbox lists requests, those of a run only if run is not "". waiting leaves out
// the ones that are settled, and those whose run has ended.
func Inbox(ctx context.Context, c *durable.Client, run string, waiting bool) ([]Approval, error) {
	var list []Approval
	for e, err := range c.Entities(ctx, durable.EntityQuery{Prefix: ApprovalPrefix, Data: true}) {
		if err != nil {
			return nil, err
		}
		a, ok, err := decodeApproval(e)
		if err != nil {
			return nil, err
		}
		if !ok || run != "" && a.Run != run || waiting && a.Status != Waiting {
			continue
		}
		if waiting {
			gone, err := over(ctx, c, a.Instance)
			if err != nil {
				return nil, err
			}
			if gone {
				continue
			}
		}
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(x, y Approval) int { return x.Requested.Compare(y.Requested) })
	return list, nil
}
