package durable

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// maxPage bounds what Page gives at once.
const maxPage = 1000

// Page gives one page of what a query selects, for callers that show a page and may
// be asked for the next one much later: at most limit instances (0: 100; never more
// than 1000), and the token to ask for the page after it with the same query; "" at
// the end, and nowhere else. A page may be shorter than asked for. An instance that
// is made or purged between two pages makes no other appear twice or not at all.
// The error wraps ErrInvalid for a token that is not of such a query.
func (c *Client) Page(ctx context.Context, q Query, limit int, token string) (states []*State, next string, err error) {
	if limit < 0 {
		return nil, "", fmt.Errorf("%w: a page of %d cannot be given; 0 means 100", ErrInvalid, limit)
	}
	sq := q.inStore()
	sq.Limit, sq.Token = min(limit, maxPage), token
	if _, err := sq.After(); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c.page(ctx, sq, q.Data)
}

func (c *Client) page(ctx context.Context, q store.Query, data bool) ([]*State, string, error) {
	found, next, err := c.hub.Query(ctx, q, data)
	states := make([]*State, len(found))
	for i, s := range found {
		states[i] = &State{*s, &c.defs.errors}
	}
	return states, next, err
}
