package engine

import (
	"context"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// earlierChildren finds the children of earlier executions that have not ended.
// The instance does not know them any more, since nothing that they answer would
// reach it; the store knows the parent of each. One that has no row yet is found
// by the message that starts it: everything that this instance did is on disk by
// then, so such a message was consumed, and its row written, or it lies in the
// inbox. Messages are looked at first: what begins meanwhile is found as a row.
func (t *turn) earlierChildren() (ids []string) {
	ctx := context.Background()
	err := t.e.commits.settle()
	if err == nil {
		ids, err = t.unbornChildren(ctx)
	}
	for q := (store.Query{Parent: t.in.id, Statuses: []history.Status{history.Running, history.Pending, history.Suspended}}); err == nil; {
		var page store.Page
		if page, err = t.e.store.Query(ctx, q); err != nil {
			break
		}
		for _, in := range page.Instances {
			ids = append(ids, in.ID)
		}
		if q.Token = page.Token; q.Token == "" {
			return ids
		}
	}
	if t.e.Err() == nil {
		t.e.log.Error("children of earlier executions could not be found and go on though their parent was terminated", "instance", t.in.id, "err", err)
	}
	return ids
}

// unbornChildren gives the ids for which a start by this instance waits.
func (t *turn) unbornChildren(ctx context.Context) (ids []string, err error) {
	for id, err := range t.e.store.Runnable(ctx) {
		if err != nil {
			return ids, err
		}
		waiting, err := t.e.store.Inbox(ctx, id)
		if err != nil {
			return ids, err
		}
		if slices.ContainsFunc(waiting, func(s store.Message) bool {
			m, err := decodeMessage(s)
			return err == nil && m.ev.Kind == history.ExecutionStarted && m.ev.Parent != nil && m.ev.Parent.ID == t.in.id
		}) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
