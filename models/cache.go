package models

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Cache keeps answers by key, which is a SHA-256 in hexadecimal, for [WithCache]. It is
// safe for concurrent use, and may forget what it likes. [MemoryCache] and [DirCache]
// are two; another one may ask a database or a service.
type Cache interface {
	// Get returns what was put under the key; nil if nothing is there.
	Get(ctx context.Context, key string) ([]byte, error)
	// Put keeps the value in the place of an earlier one. It does not keep the slice.
	Put(ctx context.Context, key string, value []byte) error
}

// CacheOptions say how [WithCache] uses its cache. The zero value works.
type CacheOptions struct {
	// Scope keeps apart models that share a cache and would answer the same request
	// differently: two servers, say. Requests are found in their own scope only.
	Scope string
	// MaxAge is how old an answer may be; 0: any age.
	MaxAge time.Duration
	// OnError, if set, is told of a cache that failed, or an entry that cannot be used.
	// The model is asked then, or its answer not kept: a cache never fails a request.
	OnError func(error)
}

// maxEntry bounds an entry. JSON may write a byte of an answer as six.
const maxEntry = 6*MaxAnswerBytes + 1<<20

// WithCache returns a model that asks m only what it has not answered before. Requests
// are the same if their [Request.Hash] is: every message, tool and parameter, and the
// names of agent and model. It streams a kept answer as if it came from the model, with
// [Response.Cached] set; its usage is what it took when it was given, its cost nothing
// ([Prices.CostOf]).
//
// Only whole answers are kept, those that end with FinishStop or FinishToolCalls: not
// failures, and not what was cut or withheld, which another attempt may improve. The
// answer of a stand-in, which [Fallback] asked because the first model failed, is not
// kept either: it would stand in for ever. Put the cache around each model of a chain
// to keep those, too.
//
// A model that is asked twice at once answers twice.
func WithCache(m Model, c Cache, opts CacheOptions) Model { return &cached{m, c, opts} }

type cached struct {
	model Model
	cache Cache
	opts  CacheOptions
}

// cacheEntry is what is kept, after a line with its own hash.
type cacheEntry struct {
	Key      string    `json:"key"` // so that an entry under another name is not taken
	At       time.Time `json:"at"`
	Response *Response `json:"response"`
}

func (m *cached) Generate(ctx context.Context, req *Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		key := m.key(req)
		if resp := m.get(ctx, key); resp != nil {
			Stream(resp)(yield)
			return
		}
		for ev, err := range Checked(m.model.Generate(ctx, req)) {
			if err == nil && ev.Response != nil {
				m.put(ctx, key, ev.Response)
			}
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

func (m *cached) key(req *Request) string {
	hash := req.Hash()
	if m.opts.Scope == "" {
		return hash
	}
	return hashOf([]byte(m.opts.Scope + "\n" + hash))
}

func (m *cached) get(ctx context.Context, key string) *Response {
	value, err := m.cache.Get(ctx, key)
	if err != nil {
		m.tell(fmt.Errorf("cache: get %s: %w", key, err))
		return nil
	}
	if value == nil {
		return nil
	}
	e, err := decodeEntry(key, value)
	if err != nil {
		m.tell(fmt.Errorf("cache: the entry %s is not used: %w", key, err))
		return nil
	}
	if m.opts.MaxAge > 0 && time.Since(e.At) > m.opts.MaxAge {
		return nil
	}
	e.Response.Cached = true
	return e.Response
}

func (m *cached) put(ctx context.Context, key string, r *Response) {
	if !keepable(r) {
		return
	}
	kept := *r
	kept.Tried = nil // those attempts were made for this answer, not for later ones
	value, err := encodeEntry(cacheEntry{Key: key, At: time.Now().UTC(), Response: &kept})
	if err == nil {
		err = m.cache.Put(ctx, key, value)
	}
	if err != nil {
		m.tell(fmt.Errorf("cache: put %s: %w", key, err))
	}
}

// keepable reports whether an answer is as good as any that the model could give.
func keepable(r *Response) bool {
	if r.Finish != FinishStop && r.Finish != FinishToolCalls || r.Cached {
		return false
	}
	for _, t := range r.Tried {
		if r.Answered != "" && t.Model != r.Answered {
			return false
		}
	}
	return true
}

func (m *cached) tell(err error) {
	if m.opts.OnError != nil {
		m.opts.OnError(err)
	}
}

func encodeEntry(e cacheEntry) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return append([]byte(hashOf(body)+"\n"), body...), nil
}

func decodeEntry(key string, value []byte) (e cacheEntry, err error) {
	sum, body, _ := bytes.Cut(value, []byte("\n"))
	switch {
	case string(sum) != hashOf(body):
		return e, errors.New("it is not as it was written")
	case json.Unmarshal(body, &e) != nil || e.Response == nil:
		return e, errors.New("it is no answer")
	case e.Key != key:
		return e, fmt.Errorf("it belongs to %s", OneLine(e.Key, 64))
	}
	return e, e.Response.Validate()
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// checkKey refuses what is no key, such as a path.
func checkKey(key string) error {
	if len(key) != 2*sha256.Size || strings.Trim(key, "0123456789abcdef") != "" {
		return fmt.Errorf("%q is no key of a cache", OneLine(key, 80))
	}
	return nil
}
