package memory

import (
	"encoding/json"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Verified is what [Verify] found.
type Verified struct {
	Messages int   // positions
	Redacted []int // those whose messages were redacted
	// Gone are those of them whose payload is in the store no more. The list still has its
	// hash, so that a copy of it can be told to be the one that was there.
	Gone []int
}

// Verify reads a conversation whole and checks each link of the list, each mark and each
// message against the hash by which the one before names it. An error is the first thing
// that is damaged, or missing without having been redacted: the head's hash stands for
// all that was ever said.
func Verify(load Loader, h Head) (v Verified, err error) {
	checked := func(r durable.Ref) ([]byte, error) {
		b, err := load(r)
		if err == nil && history.HashOf(b) != r.Hash {
			err = fmt.Errorf("payload %s holds something else", r.Hash)
		}
		return b, err
	}
	m, err := loadMarks(checked, h)
	if err != nil {
		return v, err
	}
	list, err := entries(checked, h, 0)
	if err != nil {
		return v, err
	}
	for at, e := range list {
		if v.Messages++; m.redacted(at) {
			v.Redacted = append(v.Redacted, at)
			switch _, err := checked(e.ref); {
			case durable.IsNotFound(err):
				v.Gone = append(v.Gone, at)
			case err != nil:
				return v, fmt.Errorf("message %d: %w", at, err)
			}
		} else if b, err := checked(e.ref); err != nil {
			return v, fmt.Errorf("message %d: %w", at, err)
		} else if !json.Valid(b) {
			return v, fmt.Errorf("message %d: payload %s is no JSON", at, e.ref.Hash)
		}
		if _, err := m.item(checked, at, e); err != nil {
			return v, err
		}
	}
	return v, nil
}
