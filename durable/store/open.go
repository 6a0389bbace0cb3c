package store

import (
	"fmt"
	"strings"
	"time"
)

// OpenError says why a store cannot be opened as it is, and what to do.
type OpenError struct {
	Store   string // what was to be opened, as the user wrote it
	Problem string // what is wrong with it: "is a directory"
	Advice  string // what to do about it, or ""
	Err     error  // the cause, or nil
}

// Error gives store, problem, cause and advice in one line.
func (e *OpenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Store, e.Problem)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Advice != "" {
		fmt.Fprintf(&b, "; %s", e.Advice)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *OpenError) Unwrap() error { return e.Err }

// HeldError says that another process holds a store's lease.
type HeldError struct {
	Store   string    // what was to be opened, as the user wrote it
	PID     int       // 0: not known
	Program string    // "": not known
	Since   time.Time // zero: not known
}

// Error names the holder, as far as it is known.
func (e *HeldError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is in use", e.Store)
	if e.PID != 0 {
		fmt.Fprintf(&b, " by process %d", e.PID)
		if e.Program != "" {
			fmt.Fprintf(&b, " (%s)", e.Program)
		}
	}
	if !e.Since.IsZero() {
		fmt.Fprintf(&b, " since %s", e.Since.Format(time.DateTime))
	}
	return b.String()
}
