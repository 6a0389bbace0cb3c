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
func (e *Engine) earlierChildren(parent string) (ids []string) {
	ctx := context.Background()
	err := e.commits.settle()
	if err == nil {
		ids, err = e.unbornChildren(ctx, parent)
	}
	for q := (store.Query{Parent: parent, Statuses: []history.Status{history.Running, history.Pending, history.Suspended}}); err == nil; {
		var page store.Page
		if page, err = e.store.Query(ctx, q); err != nil {
			break
		}
		for _, in := range page.Instances {
			ids = append(ids, in.ID)
		}
		if q.Token = page.Token; q.Token == "" {
			return ids
		}
	}
	if e.Err() == nil {
		e.log.Error("children of earlier executions could not be found and go on though their parent was terminated", "instance", parent, "err", err)
	}
	return ids
}

// unbornChildren gives the ids for which a start by the parent waits.
func (e *Engine) unbornChildren(ctx context.Context, parent string) (ids []string, err error) {
	for id, err := range e.store.Runnable(ctx) {
		if err != nil {
			return ids, err
		}
		waiting, err := e.store.Inbox(ctx, id)
		if err != nil {
			return ids, err
		}
		if slices.ContainsFunc(waiting, func(s store.Message) bool {
			m, err := decodeMessage(s)
			return err == nil && m.ev.Kind == history.ExecutionStarted && m.ev.Parent != nil && m.ev.Parent.ID == parent
		}) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
