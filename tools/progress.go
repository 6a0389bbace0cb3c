package tools

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Limits of what a call reports while it runs. Progress is for people who watch, and is kept nowhere.
const (
	MaxProgress       = 4 << 10 // bytes of one report, 4 KiB; what is longer is cut
	MaxProgressEvents = 1000    // reports of one call; those after it are dropped
)

type progressKey struct{}

// WithProgress returns a context for [Tool.Call] in which the tool's reports of progress go to report. It gets one
// report at a time per call, none after the call has returned, and must not block: the call waits for it.
func WithProgress(ctx context.Context, report func(text string)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

// Progress says how far a call has come: a string as it is, any other value as JSON. It is shown to people who watch
// the run, never to the model. ctx is the one that the tool's function was called with; Progress does nothing in
// others, and where nobody watches. See [MaxProgress] and [MaxProgressEvents] for its limits.
func Progress(ctx context.Context, v any) {
	s := scopeOf(ctx)
	if s == nil || !s.progress.watched() {
		return
	}
	content, err := text(v)
	if err != nil {
		content = fmt.Sprintf("a report of progress has no JSON form: %v", err)
	}
	s.progress.send(truncate(strings.ToValidUTF8(content, "\uFFFD"), MaxProgress))
}

// reporter hands on the reports of one call.
type reporter struct {
	mu     sync.Mutex
	report func(string) // nil if nobody watches, and after the call
	sent   int
}

func (r *reporter) watched() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report != nil
}

func (r *reporter) send(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.report == nil || r.sent == MaxProgressEvents {
		return
	}
	if r.sent++; r.sent == MaxProgressEvents {
		text = fmt.Sprintf("[no more progress is shown: a call has %d reports]", MaxProgressEvents)
	}
	r.report(text)
}

// close returns when no report is under way, and lets no other through.
func (r *reporter) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report = nil
}
