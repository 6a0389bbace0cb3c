package engine

import (
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// VersionMatch says which definition of a name may run an instance. The one that
// has exactly the instance's version always may, and comes first.
type VersionMatch int

const (
	// MatchDefault: a definition without a version that is the only one of its name
	// runs instances of every version. Otherwise an instance needs the definition of
	// its own version, and one without a version the definition without one.
	MatchDefault VersionMatch = iota
	// MatchNone: versions do not matter. Where none is the instance's own, the newest
	// definition runs it.
	MatchNone
	// MatchStrict: an instance needs the definition of its own version.
	MatchStrict
	// MatchCurrentOrOlder: a definition also runs instances of versions before its
	// own. Of several the oldest does.
	MatchCurrentOrOlder
)

// Mismatch says what becomes of an instance whose version no definition of its
// name runs.
type Mismatch int

const (
	// MismatchWaits: it waits for a program that has its version.
	MismatchWaits Mismatch = iota
	// MismatchFails: it fails with type VersionMismatch, for good.
	MismatchFails
)

// VersionMismatch is the failure type of an instance that is failed for its version.
const VersionMismatch = "VersionMismatch"

// VersionPolicy says what a program does with instances of other versions than its
// definitions have. A name of which it has no definition waits in any case.
type VersionPolicy struct {
	Match    VersionMatch
	Mismatch Mismatch
}

// versions is the definitions of one name.
type versions []*Orchestration

// choose gives the definition that runs an instance of a version, or nil.
func (v versions) choose(m VersionMatch, version string) (chosen *Orchestration) {
	for _, o := range v {
		if o.Version == version {
			return o
		}
	}
	for _, o := range v {
		switch {
		case m == MatchDefault && len(v) == 1 && o.Version == "",
			m == MatchNone && (chosen == nil || CompareVersions(o.Version, chosen.Version) > 0),
			m == MatchCurrentOrOlder && CompareVersions(o.Version, version) >= 0 &&
				(chosen == nil || CompareVersions(o.Version, chosen.Version) < 0):
			chosen = o
		}
	}
	return chosen
}

// Find gives the definition that runs instances of a name and version, or nil.
// defined tells whether there is one of that name at all.
func (d *Definitions) Find(p VersionPolicy, name, version string) (o *Orchestration, defined bool) {
	var v versions
	for i := range d.Orchestrations {
		if d.Orchestrations[i].Name == name {
			v = append(v, &d.Orchestrations[i])
		}
	}
	return v.choose(p.Match, version), len(v) > 0
}

// CompareVersions orders versions: negative if a is older than b, positive if it is
// newer. Dotted numbers ("1.10.2") compare number by number, and one that goes on
// where the other ends is the newer; anything else compares as text without regard
// to case. "" is the oldest.
func CompareVersions(a, b string) int {
	if !dotted(a) || !dotted(b) {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	}
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// dotted reports whether a version is numbers with dots between them.
func dotted(v string) bool {
	for part := range strings.SplitSeq(v, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// definition gives what runs an instance here; nil if nothing does.
func (e *Engine) definition(in *instance) *Orchestration {
	return e.orchestrations[in.row.Name].choose(e.opts.Versions.Match, in.row.Version)
}

// refuses reports whether an instance is to be failed for its version.
func (e *Engine) refuses(in *instance) bool {
	return e.opts.Versions.Mismatch == MismatchFails && len(e.orchestrations[in.row.Name]) > 0 && e.definition(in) == nil
}

// lacks reports whether an instance has to wait for another program.
func (e *Engine) lacks(in *instance) bool { return e.definition(in) == nil && !e.refuses(in) }

// refused reports whether the turn has to fail its instance for its version.
func (t *turn) refused() bool {
	in := t.in
	return in.exists && !in.row.Status.Ended() && in.exec == nil && !in.waits() && t.e.refuses(in)
}

// mismatch fails the instance: none of its code runs.
func (t *turn) mismatch() {
	in := t.in
	have := make([]string, 0, 4)
	for _, o := range t.e.orchestrations[in.row.Name] {
		have = append(have, fmt.Sprintf("%q", o.Version))
	}
	t.record(t.new...)
	t.finish(&history.Event{Kind: history.ExecutionCompleted, ID: in.lastID + 1, Time: t.now, Status: history.Failed, Failure: &history.Failure{
		Type: VersionMismatch, NonRetriable: true,
		Message: fmt.Sprintf("the instance is of version %q of orchestration %s, and this program has only %s",
			in.row.Version, in.row.Name, strings.Join(have, ", ")),
	}}, nil)
}
