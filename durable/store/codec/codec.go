// Package codec puts a codec, such as encryption or compression, between an engine
// and any store: what users' programs put in is encoded before it is stored and
// decoded when it is read.
//
//	s, err := codec.Wrap(ctx, s, c) // a store.Store
//
// Encoded are history rows, messages that wait, payloads, entity states and custom
// statuses. What a store has to find instances by stays as it is: ids, names, tags,
// versions, times, statuses, and the names and idempotency keys of effects.
//
// Each value carries the id of the key that it was encoded with, so keys can change
// while values of earlier ones are still there. Payloads are found by their hash;
// where the codec has a key for that ([Hasher]), the store sees a keyed one, which
// tells nobody what the content is.
//
// A store remembers that it is encoded. Opened without the codec, or with another
// key, it is refused before anything is written.
package codec

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Codec turns values into what is stored, and back. Its methods may be called from
// any goroutine, and must neither keep nor change what they are given.
type Codec interface {
	// Encode gives the stored form of a value, and the id of the key that it is to
	// be decoded with, "" for a codec without keys. An error keeps the value from
	// being stored; it is tried again.
	Encode(plain []byte) (keyID string, stored []byte, err error)
	// Decode is the inverse of Encode. A value that was not encoded with the key of
	// that id, or was changed since, is an error.
	Decode(keyID string, stored []byte) (plain []byte, err error)
}

// Hasher is a [Codec] with a key for the hashes of payloads, which must stay the
// same as long as the store does.
type Hasher interface {
	Codec
	// HashKey gives the key, of 16 bytes or more.
	HashKey() []byte
}

// ErrEncoded is wrapped by the error for a store that was written with a codec and
// is opened without one, or with one that cannot decode it.
var ErrEncoded = errors.New("the store was written with a codec")

// markerHash is the key of the payload that says that a store is encoded: no
// content has it as its hash. Instances are numbered from 1, so a reference from
// number 0 keeps it for ever.
var markerHash = history.HashOf([]byte("agentrun: this store is encoded"))

// markerText is what the marker says, before the hash of itself by the codec's key
// for hashes.
const markerText = "agentrun store codec 1\n"

// Wrap gives s with a codec. A store that is empty becomes an encoded one; any other
// must have been written with this codec. The result owns s; when Wrap fails, s is
// as it was, and the caller's.
func Wrap(ctx context.Context, s store.Store, c Codec) (store.Store, error) {
	w := &encoded{Store: s, codec: c}
	if h, ok := c.(Hasher); ok {
		if w.hashKey = h.HashKey(); len(w.hashKey) < 16 {
			return nil, fmt.Errorf("codec: the key for hashes has %d bytes; it needs 16 or more", len(w.hashKey))
		}
	}
	stored, err := s.Payload(ctx, markerHash)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = w.mark(ctx)
	case err == nil:
		err = w.check(stored)
	}
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Refuse gives an error if s was written with a codec: whoever opens it without one
// would read nothing of it, and write what the codec cannot read.
func Refuse(ctx context.Context, s store.Store) error {
	stored, err := s.Payload(ctx, markerHash)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	keyID, _, err := open(stored)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w%s and cannot be read without it: open it with that codec", ErrEncoded, ofKey(keyID))
}

func ofKey(id string) string {
	if id == "" {
		return ""
	}
	return fmt.Sprintf(" (key %q)", id)
}

// mark makes an empty store an encoded one.
func (w *encoded) mark(ctx context.Context) error {
	r, err := w.Store.Recover(ctx)
	if err != nil {
		return err
	}
	if r.LastNum != 0 || r.LastRow != 0 || r.LastMsg != 0 {
		return errors.New("the store was written without a codec; open it without one, or give the codec a new store")
	}
	data, err := w.encode(w.marker())
	if err != nil {
		return err
	}
	return w.Store.Commit(ctx, &store.Batch{
		Epoch:    r.Epoch,
		Payloads: []store.Payload{{Hash: markerHash, Data: data}},
		Refs:     []store.PayloadRef{{Hash: markerHash, Num: 0}},
	})
}

func (w *encoded) marker() []byte {
	h := w.hash(markerHash)
	return append([]byte(markerText), h[:]...)
}

// check finds out whether the codec is the one that the store was written with.
func (w *encoded) check(stored []byte) error {
	keyID, _, err := open(stored)
	if err != nil {
		return err
	}
	plain, err := w.decode(stored)
	switch {
	case err != nil:
		return fmt.Errorf("%w%s that this program's codec cannot decode: %w; open it with the codec and the keys that wrote it", ErrEncoded, ofKey(keyID), err)
	case !bytes.HasPrefix(plain, []byte(markerText)):
		return fmt.Errorf("%w%s that is not this program's: open it with the one that wrote it", ErrEncoded, ofKey(keyID))
	case !bytes.Equal(plain, w.marker()):
		return fmt.Errorf("%w%s that has another key for hashes: that key must stay the same", ErrEncoded, ofKey(keyID))
	}
	return nil
}

// hash gives the hash under which the store keeps a payload.
func (w *encoded) hash(h history.Hash) history.Hash {
	if w.hashKey == nil {
		return h
	}
	m := hmac.New(sha256.New, w.hashKey)
	m.Write(h[:])
	return history.Hash(m.Sum(nil))
}

// A stored value is the byte 1, the length of the key's id as a varint, the id, and
// what the codec made.
const envelope = 1

func (w *encoded) encode(plain []byte) ([]byte, error) {
	keyID, data, err := w.codec.Encode(plain)
	if err != nil {
		return nil, fmt.Errorf("codec: encode: %w", err)
	}
	b := make([]byte, 0, 1+binary.MaxVarintLen64+len(keyID)+len(data))
	b = binary.AppendUvarint(append(b, envelope), uint64(len(keyID)))
	return append(append(b, keyID...), data...), nil
}

func (w *encoded) decode(stored []byte) ([]byte, error) {
	keyID, data, err := open(stored)
	if err != nil {
		return nil, err
	}
	plain, err := w.codec.Decode(keyID, data)
	if err != nil {
		return nil, fmt.Errorf("codec: decode%s: %w", ofKey(keyID), err)
	}
	if plain == nil {
		plain = []byte{} // empty, which differs from absent
	}
	return plain, nil
}

// open splits a stored value.
func open(stored []byte) (keyID string, data []byte, err error) {
	if len(stored) > 0 && stored[0] == envelope {
		if n, w := binary.Uvarint(stored[1:]); w > 0 && n <= uint64(len(stored)-1-w) {
			rest := stored[1+w:]
			return string(rest[:n]), rest[n:], nil
		}
	}
	return "", nil, errors.New("codec: a stored value is damaged, or was stored without a codec")
}
