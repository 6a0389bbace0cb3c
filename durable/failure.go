package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// TaskFailedError is what Await gives for an activity, orchestration or entity
// operation that failed. Everything in it came through the history, so it is the
// same in each replay and in each process.
type TaskFailedError struct {
	Task    string // what failed, such as "activity charge"
	Type    string // the original error's type, as its language writes it, or its registered name
	Message string
	Stack   string // of a panic; otherwise ""
	Cause   error  // *TaskFailedError of what caused it, or nil
	// Key is the call's idempotency key, where UnknownOutcome is true of the error.
	Key string
	// NonRetriable failures are not tried again, whatever the policy.
	NonRetriable bool

	value      error  // the registered error, see ErrorType
	problem    string // why there is none
	properties map[string]json.RawMessage
}

// Error says what failed and why.
func (e *TaskFailedError) Error() string {
	if e.problem != "" {
		return e.text() + " (" + e.problem + ")"
	}
	return e.text()
}

func (e *TaskFailedError) text() string { return fmt.Sprintf("%s failed: %s", e.Task, e.Message) }

// Unwrap gives the cause.
func (e *TaskFailedError) Unwrap() error { return e.Cause }

// As lets errors.As find the error that failed, if its type is registered with
// [ErrorType].
func (e *TaskFailedError) As(target any) bool { return e.value != nil && errors.As(e.value, target) }

// Is lets errors.Is find the error that failed, if it is registered with
// [ErrorValue] or [ErrorType], or is [context.Canceled] or
// [context.DeadlineExceeded].
func (e *TaskFailedError) Is(target error) bool {
	return target == context.Canceled && e.Type == failureCanceled ||
		target == context.DeadlineExceeded && e.Type == failureDeadline ||
		e.value != nil && errors.Is(e.value, target)
}

// The failure types of the errors of package context.
const (
	failureCanceled = engine.Canceled
	failureDeadline = "DeadlineExceeded"
)

// UnknownOutcome reports whether err is of an at-most-once activity of which
// nobody knows whether it took effect. It was not repeated.
func UnknownOutcome(err error) bool { return failedWith(err, engine.UnknownOutcome) }

// Unknown marks the error of an at-most-once activity that does not know itself
// whether it took effect: for the caller UnknownOutcome is true of it.
func Unknown(err error) error { return &unknownOutcome{err} }

type unknownOutcome struct{ error }

func (u *unknownOutcome) Unwrap() error { return u.error }

func failedWith(err error, typ string) bool {
	var t *TaskFailedError
	for errors.As(err, &t) {
		if t.Type == typ {
			return true
		}
		err = t.Cause
	}
	return false
}

// NonRetriable marks an error that trying again cannot help against. Its type and
// message are those of err.
func NonRetriable(err error) error { return &nonRetriable{err} }

type nonRetriable struct{ error }

func (n *nonRetriable) Unwrap() error { return n.error }

// taskError makes the error of a task from the event that ends it; nil for a
// success.
func (t *errorTable) taskError(task label, ev *history.Event) error {
	if ev.Failure == nil {
		return nil
	}
	return t.failed(task.String(), ev.Failure)
}

func (t *errorTable) failed(label string, f *history.Failure) *TaskFailedError {
	e := &TaskFailedError{Task: label, Type: f.Type, Message: f.Message, Stack: f.Stack, NonRetriable: f.NonRetriable, properties: f.Properties}
	e.problem, e.value = t.restore(f)
	if f.Cause != nil {
		e.Cause = t.failed(label, f.Cause)
	}
	if key, ok := f.Properties[engine.KeyProperty]; ok {
		_ = json.Unmarshal(key, &e.Key) // another language's property of that name: no key
	}
	return e
}
