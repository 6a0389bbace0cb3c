package tools

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// Option declares something about a tool, see [New].
type Option func(*definition) error

func effect(e Effect) Option {
	return func(d *definition) error {
		if d.effectSet {
			return fmt.Errorf("two effects are declared, %s and %s: a tool has one", d.effect, e)
		}
		d.effect, d.effectSet = e, true
		return nil
	}
}

// Pure declares that a call changes nothing ([EffectPure]).
func Pure() Option { return effect(EffectPure) }

// Idempotent declares that calls with the same [Key] have together the effect of one ([EffectIdempotent]).
func Idempotent() Option { return effect(EffectIdempotent) }

// Unsafe declares that a second call does a second thing ([EffectUnsafe]). So does declaring nothing.
func Unsafe() Option { return effect(EffectUnsafe) }

// Compensable declares that undo takes a call back ([EffectCompensable]). The undo is called with the arguments
// of the call that it takes back, so both must have the same schema.
func Compensable(undo Tool) Option {
	return func(d *definition) error {
		if undo.def == nil {
			return errors.New("its undo is the zero Tool")
		}
		d.undo = &undo
		return effect(EffectCompensable)(d)
	}
}

// Bound ties a tool to something that whoever runs the tool does in the place of the
// function: agents.AsTool binds an agent, which runs as a child of the run. The
// function is what answers where nobody knows the binding.
func Bound(to any) Option {
	return func(d *definition) error {
		if to == nil {
			return errors.New("it is bound to nil")
		}
		d.bound = to
		return nil
	}
}

// Timeout limits how long one call may take, not counting the wait for an approval. d must be positive.
func Timeout(d time.Duration) Option {
	return func(def *definition) error {
		if d <= 0 {
			return fmt.Errorf("timeout %s: it must be positive (leave the option out for no limit)", d)
		}
		def.timeout = d
		return nil
	}
}

// MaxArguments sets the largest size of a call's arguments in bytes. Longer ones are an [*ArgumentError].
func MaxArguments(bytes int) Option {
	return func(d *definition) error {
		if bytes <= 0 {
			return fmt.Errorf("maximum of %d bytes of arguments: it must be positive", bytes)
		}
		d.maxArguments = bytes
		return nil
	}
}

// MaxConcurrent limits how many calls of the tool run at once. [Tool.Call] does not enforce it: that takes somebody
// who sees all calls, of other runs and processes too, and lets the surplus wait. n must be positive.
func MaxConcurrent(n int) Option {
	return func(d *definition) error {
		if n <= 0 {
			return fmt.Errorf("maximum of %d concurrent calls: it must be positive (leave the option out for no limit)", n)
		}
		d.maxConcurrent = n
		return nil
	}
}

// rate is a limit of calls in a time; the zero value is none.
type rate struct {
	calls int
	per   time.Duration
}

// RateLimit limits how many calls of the tool start in any span of the given length. As with [MaxConcurrent], it
// is up to whoever runs the tool. Both must be positive.
func RateLimit(calls int, per time.Duration) Option {
	return func(d *definition) error {
		if calls <= 0 || per <= 0 {
			return fmt.Errorf("rate of %d calls in %s: both must be positive (leave the option out for no limit)", calls, per)
		}
		d.rate = rate{calls, per}
		return nil
	}
}

// MaxImages sets how many bytes of images a result may have, all together. Those that come after are left out, and
// the model is told.
func MaxImages(bytes int) Option {
	return func(d *definition) error {
		if bytes <= 0 {
			return fmt.Errorf("maximum of %d bytes of images: it must be positive", bytes)
		}
		d.maxImages = bytes
		return nil
	}
}

// MaxResult sets how many bytes of a result the model is shown. A longer one is cut between two characters, and
// a last line, which comes on top, says how much was left out. The whole is in [Result.Whole].
func MaxResult(bytes int) Option {
	return func(d *definition) error {
		if bytes <= 0 {
			return fmt.Errorf("maximum of %d bytes of result: it must be positive", bytes)
		}
		d.maxResult = bytes
		return nil
	}
}

// Approval is what a person must decide before a tool is called.
type Approval struct {
	// By names the people or groups whom the decision is up to. It is shown to them,
	// and not checked. Empty means anybody.
	By []string `json:"by,omitempty"`
	// Needed is how many of them must agree. 0 means 1.
	Needed int `json:"needed,omitempty"`
	// Within is how long they have. 0 means no limit.
	Within time.Duration `json:"within,omitempty"`
	// Question is what they are asked. Empty leaves the wording to whoever asks.
	Question string `json:"question,omitempty"`
}

func (a *Approval) clone() *Approval {
	c := *a
	c.By = slices.Clone(a.By)
	return &c
}

// NeedsApproval declares that a person must agree before each call.
func NeedsApproval(a Approval) Option {
	return func(d *definition) error {
		if a.Needed < 0 || a.Within < 0 {
			return fmt.Errorf("approval by %d within %s: neither may be negative", a.Needed, a.Within)
		}
		c := a.clone()
		c.Needed = max(c.Needed, 1)
		d.approval = c
		return nil
	}
}

// Outcome is what became of a call that was interrupted.
type Outcome struct {
	// Happened reports whether the call took effect.
	Happened bool
	// Result is what the model is shown if it did.
	Result Result
}

// reconciler is a Reconcile function without its type parameters.
type reconciler struct {
	in, out reflect.Type
	ask     func(ctx context.Context, key string, in any) (any, bool, error)
}

func (r *reconciler) fits(d *definition) error {
	if d.effect.Repeatable() {
		return fmt.Errorf("a Reconcile function is never asked for a tool that is %s: remove one of the two", d.effect)
	}
	if r.in != d.in || r.out != d.out {
		return fmt.Errorf("its Reconcile function takes %s and returns %s, the tool takes %s and returns %s: the types must be the same", r.in, r.out, d.in, d.out)
	}
	return nil
}

// Reconcile gives an unsafe or compensable tool a function that finds out by key whether an interrupted call
// happened, and if so with what result. It must not make the call, and it may be asked more than once. An error
// means that it cannot tell.
//
// In and Out must be those of the tool; anything else is a wrong registration.
func Reconcile[In, Out any](fn func(ctx context.Context, key string, in In) (out Out, happened bool, err error)) Option {
	return func(d *definition) error {
		if fn == nil {
			return errors.New("its Reconcile function is nil")
		}
		d.reconcile = &reconciler{
			in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
			ask: func(ctx context.Context, key string, in any) (any, bool, error) {
				return fn(ctx, key, in.(In))
			},
		}
		return nil
	}
}
