package models

import (
	"errors"
	"slices"
)

// Tried is a model that was asked without success, once or several times for the
// same reason.
type Tried struct {
	Model    string    `json:"model"` // the name by which it was asked
	Kind     ErrorKind `json:"kind"`
	Message  string    `json:"message,omitempty"` // the last failure, on one line
	Attempts int       `json:"attempts"`
}

// maxTriedMessage bounds the text of a failure that is kept beside an answer.
const maxTriedMessage = 300

// TriedOf gives the attempts that ended in err, this failure included, where they
// were counted: by [WithRetry] and [Fallback]. It is nil where nobody counted, as for
// a first and only attempt outside of a chain.
func TriedOf(err error) []Tried {
	if e, ok := errors.AsType[*triedError](err); ok {
		return slices.Clone(e.tried)
	}
	return nil
}

// triedError is an error with the attempts that led to it.
type triedError struct {
	err   error
	tried []Tried
}

func (e *triedError) Error() string { return e.err.Error() }
func (e *triedError) Unwrap() error { return e.err }

// triedOnce is what is kept of one failure.
func triedOnce(model string, err error) Tried {
	return Tried{Model: model, Kind: KindOf(err), Message: OneLine(err.Error(), maxTriedMessage), Attempts: 1}
}

// appendTried returns list with the attempts that err sums up, or with err as one.
// Attempts in a row that failed alike are one entry. It does not change list.
func appendTried(list []Tried, model string, err error) []Tried {
	more := TriedOf(err)
	if more == nil {
		more = []Tried{triedOnce(model, err)}
	}
	out := slices.Clone(list)
	for _, t := range more {
		if n := len(out) - 1; n >= 0 && out[n].Model == t.Model && out[n].Kind == t.Kind {
			t.Attempts += out[n].Attempts
			out[n] = t
			continue
		}
		out = append(out, t)
	}
	return out
}

// after returns the answer with the attempts that were made before it.
func (r *Response) after(tried []Tried) *Response {
	if r == nil || len(tried) == 0 {
		return r
	}
	c := *r
	c.Tried = append(slices.Clone(tried), r.Tried...)
	return &c
}
