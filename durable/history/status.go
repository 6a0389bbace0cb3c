package history

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// statuses has the name of each status at its number.
var statuses = [...]string{
	Running:        "running",
	Completed:      "completed",
	ContinuedAsNew: "continued_as_new",
	Failed:         "failed",
	Canceled:       "cancelled",
	Terminated:     "terminated",
	Pending:        "pending",
	Suspended:      "suspended",
}

// String gives the status in lower case, such as "continued_as_new", and status(99) for one that
// the protocol does not have.
func (s Status) String() string {
	if s >= 0 && int(s) < len(statuses) {
		return statuses[s]
	}
	return "status(" + strconv.Itoa(int(s)) + ")"
}

// ParseStatus is the inverse of [Status.String].
func ParseStatus(s string) (Status, error) {
	if i := slices.Index(statuses[:], s); i >= 0 {
		return Status(i), nil
	}
	if number, ok := strings.CutPrefix(s, "status("); ok {
		if number, ok = strings.CutSuffix(number, ")"); ok {
			if n, err := strconv.ParseInt(number, 10, 32); err == nil {
				return Status(n), nil
			}
		}
	}
	return 0, fmt.Errorf("history: no status is named %q; there are %s", s, strings.Join(statuses[:], ", "))
}

// MarshalText gives the same as String, so that JSON shows a name.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Status) UnmarshalText(b []byte) error {
	status, err := ParseStatus(string(b))
	if err != nil {
		return err
	}
	*s = status
	return nil
}
