package durable

import "context"

// Restart begins an instance anew, with the name, version, input and tags that it
// has (after a ContinueAsNew: the input of the last execution), and gives the id
// of the new run: a new one if newID, otherwise the same, whose old run goes with
// everything and must have ended; the error wraps ErrNotEnded if it has not. A run
// that is restarted has new idempotency keys, so that its effects take place again.
func (c *Client) Restart(ctx context.Context, id string, newID bool) (string, error) {
	return c.hub.Restart(ctx, id, newID)
}

// Rewind lets a failed instance go on from its failure: the activities and
// children that failed are done anew, and what succeeded is not. It becomes a new
// execution of the instance, whose history is the old one without the failures;
// the old one stays, with the reason at its end (see [Client.Executions]). Children
// that failed are rewound likewise, and those that were purged begin again.
// Idempotency keys stay the same, and a call of an at-most-once activity of which
// nobody knows whether it happened is still not made again before its Reconcile
// says that it did not.
//
// The code must reach the place of the failure without it: where it went on after
// one, by a retry policy or because it handled the error, the instance cannot be
// rewound, and stays as it is. The error wraps ErrCannotRewind then, and for an
// instance that has not failed. It may be rewound again.
func (c *Client) Rewind(ctx context.Context, id, reason string) error {
	return c.hub.Rewind(ctx, id, reason)
}
