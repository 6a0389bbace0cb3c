package history

import (
	"bytes"
	"fmt"
	"strconv"
)

// Address says where an event is. An execution's history is kept until its instance is purged, so
// that an address stays good after continue-as-new.
type Address struct {
	Instance  string `json:"instance"`
	Execution string `json:"execution"`
	Number    int    `json:"number"` // position in the execution's history, from 0
}

// String gives the address for people: "event 14 of run-1 (execution 3f…)", with the whole id.
func (a Address) String() string {
	return fmt.Sprintf("event %d of %s (execution %s)", a.Number, plain(a.Instance), plain(a.Execution))
}

// Difference is the first step at which the code did not do what its history has. It is an error:
// that of an orchestration that can go on neither way.
type Difference struct {
	Address Address `json:"address"`

	// Event is what was recorded there, nil where the code did more than history has. Did is what
	// the code did, nil where it did less. One of them is there.
	Event *Event `json:"event,omitempty"`
	Did   *Event `json:"did,omitempty"`

	// Field, Want and Got are those of [Compare]: which field differs, as recorded and as done.
	Field string `json:"field,omitempty"`
	Want  string `json:"want,omitempty"`
	Got   string `json:"got,omitempty"`
}

// Error names the event, what was recorded and what the code did, in one line:
//
//	history of run-1 diverges at event 14 (execution 3f…): recorded TaskScheduled #5 "search_logs",
//	the code did TaskScheduled #5 "find_logs" (name)
//
// Data is shown around the first byte that differs.
func (d *Difference) Error() string {
	recorded, did := "nothing", "nothing"
	if d.Event != nil {
		recorded = headline(d.Event)
	}
	if d.Did != nil {
		did = headline(d.Did)
	}
	message := fmt.Sprintf("history of %s diverges at event %d (execution %s): recorded %s, the code did %s",
		plain(d.Address.Instance), d.Address.Number, plain(d.Address.Execution), recorded, did)
	switch {
	case d.Event == nil || d.Did == nil || d.Field == "":
		return message
	case recorded != did: // the two already show what differs
		return message + " (" + d.Field + ")"
	default:
		return message + fmt.Sprintf(" (%s: recorded %s, the code %s)", d.Field, d.Want, d.Got)
	}
}

// Compare reports whether the code did what was recorded; if not, which field differs first and its
// two values for people. Fields are named as in JSON and compared in this order: kind, id, name,
// version, target, answers, status, lockSet, fireAt, data, failure.
//
// Data counts byte by byte, or by its hash where one side has only that: code that writes the same
// JSON in another order does something else, as far as history knows. A time counts to the
// nanosecond, since the clock of an orchestration comes from its history too. A failure counts by
// its type and message, since a stack is another in every build.
//
// What the code does not decide is left out: when an event was written, the UUID of a request and
// who sent it, spans, tags, and our own numbers of calls and attempts.
func Compare(recorded, did *Event) (field, want, got string, same bool) {
	if recorded == nil || did == nil {
		return compareAbsent(recorded, did)
	}
	for _, f := range [...]struct{ field, want, got string }{
		{"kind", recorded.Kind.String(), did.Kind.String()},
		{"id", strconv.Itoa(int(recorded.ID)), strconv.Itoa(int(did.ID))},
		{"name", recorded.Name, did.Name},
		{"version", recorded.Version, did.Version},
		{"target", recorded.Target, did.Target},
		{"answers", strconv.Itoa(int(recorded.Answers)), strconv.Itoa(int(did.Answers))},
		{"status", recorded.Status.String(), did.Status.String()},
	} {
		if f.want != f.got {
			return f.field, plain(f.want), plain(f.got), false
		}
	}
	if want, got = showList(recorded.LockSet), showList(did.LockSet); want != got {
		return "lockSet", want, got, false
	}
	if !recorded.FireAt.Equal(did.FireAt) {
		return "fireAt", showTime(recorded.FireAt), showTime(did.FireAt), false
	}
	if want, got, same = compareData(recorded, did); !same {
		return "data", want, got, false
	}
	if want, got = failureText(recorded.Failure), failureText(did.Failure); want != got {
		at := firstDifference(want, got)
		return "failure", excerpt(want, at), excerpt(got, at), false
	}
	return "", "", "", true
}

// compareAbsent compares where a side did nothing.
func compareAbsent(recorded, did *Event) (field, want, got string, same bool) {
	switch {
	case recorded != nil:
		return "kind", recorded.Kind.String(), "nothing", false
	case did != nil:
		return "kind", "nothing", did.Kind.String(), false
	default:
		return "", "", "", true
	}
}

// compareData compares the payloads themselves where both are there, else their hashes.
func compareData(recorded, did *Event) (want, got string, same bool) {
	if onlyRef(recorded) || onlyRef(did) {
		a, b := hashOfData(recorded), hashOfData(did)
		if a == b {
			return "", "", true
		}
		return showData(recorded, 0), showData(did, 0), false
	}
	if (recorded.Data == nil) == (did.Data == nil) && bytes.Equal(recorded.Data, did.Data) {
		return "", "", true
	}
	at := firstDifference(recorded.Data, did.Data)
	return showData(recorded, at), showData(did, at), false
}

func onlyRef(e *Event) bool { return e.Data == nil && !e.DataRef.IsZero() }

// hashOfData gives the hash of an event's data; zero stands for none.
func hashOfData(e *Event) Hash {
	if e.Data == nil {
		return e.DataRef
	}
	return HashOf(e.Data)
}

// failureText is what of a failure has to be the same.
func failureText(f *Failure) string {
	if f == nil {
		return "none"
	}
	return f.Error()
}

// firstDifference gives the index of the first byte at which two texts differ, or the length of the
// shorter one.
func firstDifference[T string | Payload](a, b T) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
