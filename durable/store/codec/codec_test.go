package codec_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/codec"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

// gcm is AES-GCM with a key by its id, and without keyed hashes.
type gcm struct {
	current string
	keys    map[string]cipher.AEAD
	fail    error
}

func newGCM(ids ...string) *gcm {
	c := &gcm{current: ids[0], keys: map[string]cipher.AEAD{}}
	for _, id := range ids {
		block, err := aes.NewCipher([]byte(fmt.Sprintf("%032s", id)))
		if err != nil {
			panic(err)
		}
		if c.keys[id], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			panic(err)
		}
	}
	return c
}

func (c *gcm) Encode(plain []byte) (string, []byte, error) {
	return c.current, c.keys[c.current].Seal(nil, nil, plain, []byte(c.current)), c.fail
}

func (c *gcm) Decode(id string, stored []byte) ([]byte, error) {
	k := c.keys[id]
	if k == nil {
		return nil, errors.New("the key is not known")
	}
	return k.Open(nil, nil, stored, []byte(id))
}

// hashing is gcm with a key for hashes.
type hashing struct {
	*gcm
	key string
}

func (h hashing) HashKey() []byte { return []byte(h.key) }

const hashKey = "0123456789abcdef"

func wrap(t *testing.T, s store.Store, c codec.Codec) store.Store {
	t.Helper()
	w, err := codec.Wrap(t.Context(), s, c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// A store with a codec keeps every promise of a store.
func TestStore(t *testing.T) {
	c := hashing{newGCM("a"), hashKey}
	inner := map[store.Store]store.Store{} // by what wraps it
	on := func(t *testing.T, s store.Store) store.Store {
		w := wrap(t, s, c)
		inner[w] = s
		return w
	}
	t.Run("memory", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) storetest.Factory {
			return storetest.Factory{
				Open:   func(t *testing.T) store.Store { return on(t, memory.New()) },
				Reopen: func(t *testing.T, s store.Store) store.Store { return on(t, inner[s].(*memory.Store).Reopen()) },
				Fence:  func(_ *testing.T, s store.Store) { inner[s].(*memory.Store).Reopen() },
			}
		})
	})
	t.Run("sqlite", func(t *testing.T) {
		paths := map[store.Store]string{}
		open := func(t *testing.T, path string) store.Store {
			s, err := sqlite.Open(t.Context(), path, sqlite.Options{NoPreallocation: true})
			if err != nil {
				t.Fatal(err)
			}
			w := on(t, s)
			paths[w] = path
			return w
		}
		storetest.Run(t, func(*testing.T) storetest.Factory {
			return storetest.Factory{
				Open:   func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "hub.db")) },
				Reopen: func(t *testing.T, s store.Store) store.Store { return open(t, paths[s]) },
				Fence:  func(t *testing.T, s store.Store) { takeLease(t, paths[s]) },
			}
		})
	})
}

// takeLease does to a database what another process would that takes the lease.
func takeLease(t *testing.T, path string) {
	t.Helper()
	c, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	err = sqlitex.ExecuteTransient(c, "update meta set epoch = epoch + 1", nil)
	if err := errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
}

// secret is what a store must not show.
const secret = "the-secret-of-the-user"

// everything is a batch with a value in every field that holds one.
func everything(epoch uint64) *store.Batch {
	data := []byte(secret)
	h := history.HashOf(data)
	return &store.Batch{
		Epoch: epoch,
		Instances: []store.InstanceRow{
			{New: true, Instance: &store.Instance{Num: 1, ID: "a", CustomStatus: data, First: 1, Last: 1}},
			{New: true, Instance: &store.Instance{Num: 2, ID: "@b@c", State: data}}},
		History:  []store.HistoryRow{{Key: 1, Data: data}},
		Inbox:    []store.Message{{Key: 1, To: "a", Data: data}},
		Payloads: []store.Payload{{Hash: h, Data: data}},
		Refs:     []store.PayloadRef{{Hash: h, Num: 1}},
	}
}

// Nothing of a value, and no hash of one, is in the file.
func TestNothingIsReadable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{NoPreallocation: true})
	if err != nil {
		t.Fatal(err)
	}
	w := wrap(t, s, hashing{newGCM("a"), hashKey})
	r, err := w.Recover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := everything(r.Epoch)
	if err := w.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if want := everything(r.Epoch); string(b.History[0].Data) != secret || b.Payloads[0].Hash != want.Payloads[0].Hash || string(b.Instances[1].State) != secret {
		t.Error("the caller's batch was changed")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	h := history.HashOf([]byte(secret))
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for what, text := range map[string][]byte{"value": []byte(secret), "hash": h[:], "hash in hex": []byte(h.String())} {
			if bytes.Contains(content, text) {
				t.Errorf("%s has the %s in it", filepath.Base(f), what)
			}
		}
	}
}

// Keys change: what an earlier one wrote is read with that.
func TestKeysChange(t *testing.T) {
	m := memory.New()
	w := wrap(t, m, newGCM("old"))
	if err := w.Commit(t.Context(), everything(1)); err != nil {
		t.Fatal(err)
	}
	m = m.Reopen()
	w = wrap(t, m, newGCM("new", "old"))
	if row, err := w.Row(t.Context(), 1); err != nil || string(row) != secret {
		t.Errorf("%q, %v", row, err)
	}
	if err := w.Commit(t.Context(), &store.Batch{Epoch: 2, History: []store.HistoryRow{{Key: 2, Prev: 1, Data: []byte("later")}}}); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for row, err := range w.History(t.Context(), 2) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, string(row))
	}
	if strings.Join(rows, ",") != secret+",later" {
		t.Errorf("rows %q", rows)
	}
}

// Who does not have the codec or its keys is refused, in one line, and changes
// nothing.
func TestRefused(t *testing.T) {
	ctx := context.Background()
	m := memory.New()
	right := hashing{newGCM("a"), hashKey}
	if err := wrap(t, m, right).Commit(ctx, everything(1)); err != nil {
		t.Fatal(err)
	}
	wrongKey := newGCM("a")
	wrongKey.keys["a"] = newGCM("x").keys["x"]
	for what, c := range map[string]struct {
		codec codec.Codec
		want  string
	}{
		"none":            {nil, `the store was written with a codec (key "a") and cannot be read without it`},
		"unknown key":     {hashing{newGCM("b"), hashKey}, `the store was written with a codec (key "a") that this program's codec cannot decode: codec: decode (key "a"): the key is not known`},
		"wrong key":       {hashing{wrongKey, hashKey}, "message authentication failed; open it with the codec and the keys that wrote it"},
		"no hash key":     {newGCM("a"), "has another key for hashes"},
		"wrong hash key":  {hashing{newGCM("a"), hashKey + "x"}, "has another key for hashes"},
		"another codec":   {flip{}, "that is not this program's"},
		"a short key":     {hashing{newGCM("a"), "short"}, "it needs 16 or more"},
		"a codec of none": {right, ""},
	} {
		var err error
		before := m.Clone()
		if c.codec == nil {
			err = codec.Refuse(ctx, m)
		} else {
			_, err = codec.Wrap(ctx, m, c.codec)
		}
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
		if what != "a short key" && !errors.Is(err, codec.ErrEncoded) {
			t.Errorf("%s: not ErrEncoded: %v", what, err)
		}
		a, _ := m.Recover(ctx)
		b, _ := before.Recover(ctx)
		if a.LastNum != b.LastNum || a.LastRow != b.LastRow || a.LastMsg != b.LastMsg {
			t.Errorf("%s: the store changed", what)
		}
	}

	plain := memory.New()
	if err := codec.Refuse(ctx, plain); err != nil {
		t.Error(err)
	}
	if err := plain.Commit(ctx, everything(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := codec.Wrap(ctx, plain, right); err == nil || !strings.Contains(err.Error(), "written without a codec") {
		t.Errorf("a store without a codec: %v", err)
	}
	if err := codec.Refuse(ctx, plain); err != nil {
		t.Errorf("it was marked all the same: %v", err)
	}
}

// flip is a codec that decodes anything.
type flip struct{}

func (flip) Encode(b []byte) (string, []byte, error)   { return "", b, nil }
func (flip) Decode(_ string, b []byte) ([]byte, error) { return b, nil }

// A value that cannot be encoded is not stored, nor anything beside it; one that is
// damaged is an error, whoever reads it.
func TestFailures(t *testing.T) {
	ctx := context.Background()
	m := memory.New()
	c := newGCM("a")
	w := wrap(t, m, c)
	c.fail = errors.New("no entropy")
	if err := w.Commit(ctx, everything(1)); !errors.Is(err, c.fail) {
		t.Errorf("commit: %v", err)
	}
	if _, err := w.Instance(ctx, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("something was stored: %v", err)
	}
	c.fail = nil
	garbage := func() []byte {
		b := make([]byte, 40)
		rand.Read(b)
		b[0] = 1 // looks like a value, of a key whose id is too long, or is unknown
		return b
	}
	b := everything(1)
	b.Instances[0].CustomStatus, b.Instances[1].State = garbage(), []byte("plain")
	b.History[0].Data, b.Inbox[0].Data, b.Payloads[0].Data = garbage(), garbage(), nil
	if err := m.Commit(ctx, b); err != nil {
		t.Fatal(err)
	}
	check := func(what string, err error) {
		if err == nil || !strings.Contains(err.Error(), "codec: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := w.Instance(ctx, "a")
	check("instance", err)
	_, err = w.Query(ctx, store.Query{Entities: true})
	check("query", err)
	_, err = w.Row(ctx, 1)
	check("row", err)
	for _, err := range w.History(ctx, 1) {
		check("history", err)
	}
	_, err = w.Inbox(ctx, "a")
	check("inbox", err)
	_, err = w.Payload(ctx, b.Payloads[0].Hash)
	check("payload", err)
}

// spy is a store that shows what is committed.
type spy struct {
	store.Store
	batch *store.Batch
	deaf  bool // it stores nothing
}

func (s *spy) Commit(ctx context.Context, b *store.Batch) error {
	s.batch = b
	if s.deaf {
		return nil
	}
	return s.Store.Commit(ctx, b)
}

// Whatever a batch has of values and hashes is encoded, also in fields that are added
// to it: they need a line in Commit.
func TestEveryFieldOfABatch(t *testing.T) {
	s := &spy{Store: memory.New()}
	w := wrap(t, s, hashing{newGCM("a"), hashKey})
	h := history.HashOf([]byte("some hash"))
	var b store.Batch
	found := map[string]bool{}
	walk(reflect.ValueOf(&b).Elem(), "Batch", func(path string, v reflect.Value) {
		found[path] = true
		if v.Type() == reflect.TypeOf(h) {
			v.Set(reflect.ValueOf(h))
		} else {
			v.SetBytes([]byte(secret))
		}
	})
	s.deaf = true
	if !found["Batch.History[].Data"] || !found["Batch.Instances[].Instance.State"] || !found["Batch.Refs[].Hash"] {
		t.Fatalf("the test does not find what it looks for: %v", found)
	}
	if err := w.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	walk(reflect.ValueOf(s.batch).Elem(), "Batch", func(path string, v reflect.Value) {
		if v.Interface() == any(h) || v.Kind() == reflect.Slice && string(v.Bytes()) == secret {
			t.Errorf("%s reaches the store as it is", path)
		}
	})
}

// walk gives the values and hashes in v, and makes the pointers and slices on the way
// where they are nil.
func walk(v reflect.Value, path string, f func(path string, v reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeOf(history.Hash{}), v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		f(path, v)
	case v.Type() == reflect.TypeOf(time.Time{}):
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		walk(v.Elem(), path, f)
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			walk(v.Index(i), path+"[]", f)
		}
	}
}
