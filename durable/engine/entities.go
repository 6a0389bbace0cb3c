package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// EntityState is what a client sees of an entity.
type EntityState struct {
	ID       string
	Modified time.Time
	State    history.Payload // nil where it was not asked for
	LockedBy string          // id of the instance that has locked it, or ""
}

// EntityQuery selects entities; its zero value selects all that have a state.
type EntityQuery struct {
	Prefix       string    // of the id
	ModifiedFrom time.Time // from <= modified
	ModifiedTo   time.Time // modified < to
	Transient    bool      // also those without a state
	Limit        int       // page size; 0: 100
	Token        string    // of the page before
}

// Entity gives an entity's state; ErrNotFound if it has none and is not locked.
func (e *Engine) Entity(ctx context.Context, id string) (*EntityState, error) {
	if canonical, err := EntityID(id); err == nil {
		id = canonical
	}
	r, err := e.store.Instance(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!isEntity(id) || r.State == nil && r.LockedBy == "") {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return entityState(r, true), nil
}

// Entities lists entities, with data also their states.
func (e *Engine) Entities(ctx context.Context, q EntityQuery, data bool) (states []*EntityState, token string, err error) {
	page, err := e.store.Query(ctx, store.Query{
		Entities: true, Prefix: q.Prefix, ModifiedFrom: q.ModifiedFrom, ModifiedTo: q.ModifiedTo, Stateful: !q.Transient,
		Limit: q.Limit, Token: q.Token,
	})
	if err != nil {
		return nil, "", err
	}
	for _, r := range page.Instances {
		states = append(states, entityState(r, data))
	}
	return states, page.Token, nil
}

func entityState(r *store.Instance, data bool) *EntityState {
	s := &EntityState{ID: r.ID, Modified: r.Updated, LockedBy: r.LockedBy}
	if data {
		s.State = r.State
	}
	return s
}

// EntityCleaning says what CleanEntities is to do.
type EntityCleaning struct {
	Empty bool // remove entities that have no state, no lock and nothing to come
	Locks bool // free locks whose holder has ended or is gone
}

// CleanedEntities counts what CleanEntities has done.
type CleanedEntities struct{ Empty, Locks int }

// CleanEntities looks through a page of entities; the token of the next page is
// "" at the end. The engine leaves neither empty entities nor orphaned locks
// behind, so what it finds comes from elsewhere.
func (e *Engine) CleanEntities(ctx context.Context, what EntityCleaning, token string) (done CleanedEntities, next string, err error) {
	page, err := e.store.Query(ctx, store.Query{Entities: true, Token: token})
	if err != nil {
		return done, "", err
	}
	for _, r := range page.Instances {
		if what.Locks && r.LockedBy != "" {
			freed, err := e.freeOrphan(ctx, r)
			if err != nil {
				return done, "", err
			}
			if freed {
				done.Locks++
			}
		}
		if what.Empty && r.State == nil {
			gone, err := e.dropEmpty(ctx, r.ID)
			if err != nil {
				return done, "", err
			}
			if gone {
				done.Empty++
			}
		}
	}
	return done, page.Token, nil
}

// freeOrphan frees a lock that nobody can give back.
func (e *Engine) freeOrphan(ctx context.Context, r *store.Instance) (bool, error) {
	holder, err := e.store.Instance(ctx, r.LockedBy)
	if err == nil && !holder.Status.Ended() || err != nil && !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	held, err := history.DecodeEvent(r.CustomStatus)
	if err != nil {
		return false, fmt.Errorf("the lock of %s: %w", r.ID, err)
	}
	return true, e.send(ctx, &message{to: r.ID, ev: &history.Event{Kind: history.EntityUnlockSent, ID: history.FromOutside, Time: e.now(),
		Request: held.Request, Sender: held.Sender, Target: r.ID}})
}

// dropEmpty removes an entity of which nothing is left. One that went by itself since
// it was read is not counted.
func (e *Engine) dropEmpty(ctx context.Context, id string) (bool, error) {
	err := e.send(ctx, &message{to: id, ev: &history.Event{Kind: history.GenericEvent, ID: history.FromOutside, Time: e.now()},
		ask: &command{what: askDropEntity}})
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrNotEnded) {
		return false, nil
	}
	return err == nil, err
}
