package codec

import (
	"context"
	"fmt"
	"iter"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// encoded is a store whose values are encoded. What it does not name passes through:
// a method that gives or takes bytes must have its place here.
type encoded struct {
	store.Store
	codec   Codec
	hashKey []byte
}

// encoder encodes the values of a batch, up to the first that it cannot.
type encoder struct {
	w   *encoded
	err error
}

// value encodes one that is there also when it is empty.
func (e *encoder) value(plain []byte) []byte {
	if e.err != nil {
		return nil
	}
	var stored []byte
	stored, e.err = e.w.encode(plain)
	return stored
}

// optional encodes one that nil is the absence of.
func (e *encoder) optional(plain []byte) []byte {
	if plain == nil {
		return nil
	}
	return e.value(plain)
}

// list makes an encoded copy of a part of a batch: the batch itself may be tried
// again.
func list[T any](in []T, encode func(*T)) []T {
	if len(in) == 0 {
		return nil
	}
	out := append(make([]T, 0, len(in)), in...)
	for i := range out {
		encode(&out[i])
	}
	return out
}

// Commit encodes each field of a batch that holds values: a line for each. The rest
// goes as it is.
func (w *encoded) Commit(ctx context.Context, b *store.Batch) error {
	e, out := &encoder{w: w}, *b
	out.Instances = list(b.Instances, func(r *store.InstanceRow) { r.Instance = e.instance(r.Instance) })
	out.History = list(b.History, func(r *store.HistoryRow) { r.Data = e.value(r.Data) })
	out.Inbox = list(b.Inbox, func(m *store.Message) { m.Data = e.value(m.Data) })
	out.Payloads = list(b.Payloads, func(p *store.Payload) { p.Hash, p.Data = w.hash(p.Hash), e.value(p.Data) })
	out.Refs = list(b.Refs, func(r *store.PayloadRef) { r.Hash = w.hash(r.Hash) })
	out.Released = list(b.Released, func(r *store.PayloadRef) { r.Hash = w.hash(r.Hash) })
	out.Progress = list(b.Progress, func(p *store.ProgressWrite) { p.Data = e.optional(p.Data) })
	if e.err != nil {
		return e.err
	}
	return w.Store.Commit(ctx, &out)
}

func (e *encoder) instance(in *store.Instance) *store.Instance {
	if in == nil || in.State == nil && in.CustomStatus == nil {
		return in
	}
	out := *in
	out.State, out.CustomStatus = e.optional(in.State), e.optional(in.CustomStatus)
	return &out
}

// plain decodes what an instance holds, in place.
func (w *encoded) plain(in *store.Instance) (err error) {
	for _, p := range []*history.Payload{&in.State, &in.CustomStatus} {
		if *p == nil {
			continue
		}
		if *p, err = w.decode(*p); err != nil {
			return fmt.Errorf("instance %q: %w", in.ID, err)
		}
	}
	return nil
}

func (w *encoded) Instance(ctx context.Context, id string) (*store.Instance, error) {
	in, err := w.Store.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := w.plain(in); err != nil {
		return nil, err
	}
	return in, nil
}

func (w *encoded) Query(ctx context.Context, q store.Query) (store.Page, error) {
	page, err := w.Store.Query(ctx, q)
	if err != nil {
		return store.Page{}, err
	}
	for _, in := range page.Instances {
		if err := w.plain(in); err != nil {
			return store.Page{}, err
		}
	}
	return page, nil
}

func (w *encoded) History(ctx context.Context, last int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for row, err := range w.Store.History(ctx, last) {
			if err == nil {
				row, err = w.decode(row)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func (w *encoded) Row(ctx context.Context, key int64) ([]byte, error) {
	row, err := w.Store.Row(ctx, key)
	if err != nil {
		return nil, err
	}
	return w.decode(row)
}

func (w *encoded) Inbox(ctx context.Context, id string) ([]store.Message, error) {
	list, err := w.Store.Inbox(ctx, id)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Data, err = w.decode(list[i].Data); err != nil {
			return nil, fmt.Errorf("message %d for %q: %w", list[i].Key, id, err)
		}
	}
	return list, nil
}

func (w *encoded) Payload(ctx context.Context, h history.Hash) ([]byte, error) {
	stored, err := w.Store.Payload(ctx, w.hash(h))
	if err != nil {
		return nil, err
	}
	return w.decode(stored)
}

func (w *encoded) Progress(ctx context.Context) iter.Seq2[store.Progress, error] {
	return func(yield func(store.Progress, error) bool) {
		for p, err := range w.Store.Progress(ctx) {
			if err == nil && p.Data != nil {
				if p.Data, err = w.decode(p.Data); err != nil {
					err = fmt.Errorf("progress of instance %d: %w", p.Num, err)
				}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}
