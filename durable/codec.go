package durable

import (
	"encoding/json"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// encode makes a payload: JSON, and absent for a nil interface.
func encode(v any) (history.Payload, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case history.Payload:
		return v, nil
	case json.RawMessage:
		if len(v) == 0 {
			return nil, nil
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("%T has no JSON form: %w", v, err)
	}
	return b, nil
}

// decode reads a payload; an absent one is the zero value. what says, in the
// error, whose value it is.
func decode[T any](p history.Payload, what string) (T, error) {
	var v T
	if p == nil {
		return v, nil
	}
	switch raw := any(&v).(type) {
	case *history.Payload:
		*raw = p
		return v, nil
	case *json.RawMessage:
		*raw = json.RawMessage(p)
		return v, nil
	}
	if err := json.Unmarshal(p, &v); err != nil {
		return v, NonRetriable(fmt.Errorf("%s: %s does not decode into %T: %w", what, excerpt(p), v, err))
	}
	return v, nil
}

// excerpt shows the beginning of a payload.
func excerpt(p history.Payload) string {
	const most = 60
	if len(p) <= most {
		return string(p)
	}
	return string(p[:most]) + "…"
}
