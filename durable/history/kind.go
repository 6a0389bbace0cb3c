package history

import (
	"fmt"
	"strconv"
	"strings"
)

// A kind that is no member of the protocol that we know still has to be a field number that
// its HistoryEvent can give it: beyond eventId and timestamp, below our own extensions.
const (
	firstKind Kind = 3
	lastKind  Kind = firstExtension - 1
)

// kinds finds a kind by its protocol name.
var kinds = func() map[string]Kind {
	m := make(map[string]Kind, len(layouts))
	for k := range layouts {
		if name := layouts[k].name; name != "" {
			m[name] = Kind(k)
		}
	}
	return m
}()

// String gives the kind's protocol name, such as "TaskScheduled" or
// "SubOrchestrationInstanceCreated", and Kind(99) for one that has none.
func (k Kind) String() string {
	if l := k.layout(); l != nil {
		return l.name
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// ParseKind is the inverse of [Kind.String]. Upper and lower case differ.
func ParseKind(s string) (Kind, error) {
	if k, ok := kinds[s]; ok {
		return k, nil
	}
	if number, ok := strings.CutPrefix(s, "Kind("); ok {
		if number, ok = strings.CutSuffix(number, ")"); ok {
			if n, err := strconv.ParseInt(number, 10, 32); err == nil {
				return Kind(n), nil
			}
		}
	}
	return 0, fmt.Errorf("history: no event kind is named %q", s)
}

// MarshalText gives the same as String, so that JSON shows a name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(b []byte) error {
	kind, err := ParseKind(string(b))
	if err != nil {
		return err
	}
	*k = kind
	return nil
}
