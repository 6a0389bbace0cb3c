package tools

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ArgumentError says that a model's arguments are not what a tool asks for. Its message is one line, written so
// that the model can correct the call. The function was not called.
type ArgumentError struct {
	// Tool is the tool's name.
	Tool string
	// Problems are the things wrong, each a JSON Pointer into the arguments and what was expected there. A
	// problem of the document as a whole has no pointer. There is at least one.
	Problems []string
}

// Error lists the problems.
func (e *ArgumentError) Error() string {
	return fmt.Sprintf("invalid arguments for tool %s: %s. Correct them and call the tool again.", e.Tool, strings.Join(e.Problems, "; "))
}

// StopError stops a run instead of going to the model. See [Stop].
type StopError struct {
	// Err is why.
	Err error
}

// Stop marks an error of a tool function as one that the model cannot do anything about: the run ends with it.
// An unsafe or compensable tool whose result has no JSON form gives such an error by itself, since a model that
// is told of a failure might do the thing a second time.
// Stop(nil) is nil.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return &StopError{Err: err}
}

// Error returns the message of the marked error.
func (e *StopError) Error() string { return e.Err.Error() }

// Unwrap returns the marked error.
func (e *StopError) Unwrap() error { return e.Err }

// PanicError says that a tool's function panicked or ended its goroutine with [runtime.Goexit].
type PanicError struct {
	// Tool is the tool's name.
	Tool string
	// Value is what it panicked with.
	Value any
	// Stack is where, from the panicking function outwards, cut to what a person reads. It names files and is
	// not part of the message.
	Stack string
}

// Error names the tool and the value, on one line.
func (e *PanicError) Error() string {
	return fmt.Sprintf("tool %s panicked: %s", e.Tool, oneLine(fmt.Sprint(e.Value)))
}

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// TimeoutError says that a call which may be repeated took longer than the tool's [Timeout].
// errors.Is finds [context.DeadlineExceeded] in it.
type TimeoutError struct {
	// Tool is the tool's name.
	Tool string
	// After is the limit.
	After time.Duration
}

// Error names the tool and its limit.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("tool %s did not finish within its timeout of %s", e.Tool, e.After)
}

// Unwrap returns [context.DeadlineExceeded].
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

// UnknownOutcomeError says that nobody knows whether a call of an unsafe or compensable tool took effect. It must
// not be repeated until [Tool.Reconcile] or a person has settled it.
//
// A function that finds itself in this situation, say because a connection broke in the middle of a request,
// returns one with only Err set; Tool and Key are filled in.
type UnknownOutcomeError struct {
	// Tool is the tool's name.
	Tool string
	// Key is the call's idempotency key.
	Key string
	// Err is what got in the way: a timeout, a cancellation, or what the function returned after one.
	Err error
}

// Error names the tool, the key and the cause.
func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("tool %s: the outcome of call %s is unknown: %v", e.Tool, e.Key, e.Err)
}

// Unwrap returns the cause.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// oneLine makes a message of one line from any text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
