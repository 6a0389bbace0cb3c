package durable_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// sealed is AES-GCM with one key, and with keyed hashes.
type sealed struct {
	id   string
	aead cipher.AEAD
}

func newSealed(id string, key byte) *sealed {
	block, err := aes.NewCipher([]byte(strings.Repeat(string(rune(key)), 32)))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &sealed{id, aead}
}

func (s *sealed) Encode(plain []byte) (string, []byte, error) {
	return s.id, s.aead.Seal(nil, nil, plain, nil), nil
}

func (s *sealed) Decode(id string, stored []byte) ([]byte, error) {
	if id != s.id {
		return nil, errors.New("another key")
	}
	return s.aead.Open(nil, nil, stored, nil)
}

func (s *sealed) HashKey() []byte { return []byte("a key for the hashes") }

// A program with a codec is like one without, across restarts; nothing of its data is
// in the files; and who has not the key is refused and damages nothing.
func TestCodec(t *testing.T) {
	const secret = "secret-of-the-user"
	long := strings.Repeat(secret, 2000) // stored apart from the history
	box := durable.NewEntity[string]("box")
	put := durable.Operation(box, "put", func(ctx *durable.EntityContext, s *string, in string) (string, error) {
		*s = in
		return in, nil
	})
	keep := durable.NewActivity("keep", func(ctx context.Context, s string) (durable.Ref, error) { return durable.Store(ctx, []byte(s+"!")) })
	fail := durable.NewActivity("fail", func(ctx context.Context, s string) (string, error) { return "", errors.New(s) })
	job := durable.NewOrchestration("job", func(ctx *durable.Context, in string) (string, error) {
		ctx.SetCustomStatus(in[:30])
		ref, err := keep.Call(ctx, in)
		if err != nil {
			return "", err
		}
		if _, err := put.Call(ctx, "x", in[:30]); err != nil {
			return "", err
		}
		if _, err := fail.Call(ctx, in[:30]); err == nil {
			return "", errors.New("it did not fail")
		}
		word, err := durable.WaitForEvent[string](ctx, "go").Await()
		if err != nil {
			return "", err
		}
		data, err := ctx.Load(ref)
		return word + string(data), err
	})
	path := filepath.Join(t.TempDir(), "hub.db")
	url := "sqlite:" + path
	defs := []durable.Definition{box, keep, fail, job}
	right := durable.Options{Logger: quiet, Codec: newSealed("k1", 'a')}
	open := func(o durable.Options) *durable.Runtime {
		rt, err := durable.OpenWith(t.Context(), url, o, defs...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = rt.Close() })
		return rt
	}
	rt := open(right)
	id, err := job.Schedule(t.Context(), rt.Client(), long)
	if err != nil {
		t.Fatal(err)
	}
	// Sent to one that the next program has: its message waits in the store.
	if _, err := rt.Client().Schedule(t.Context(), "later", secret); err != nil {
		t.Fatal(err)
	}
	closeRuntime(t, rt)

	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, o := range map[string]durable.Options{
		"no codec":  {Logger: quiet},
		"wrong key": {Logger: quiet, Codec: newSealed("k1", 'b')},
		"wrong id":  {Logger: quiet, Codec: newSealed("k2", 'a')},
	} {
		_, err := durable.OpenWith(t.Context(), url, o, defs...)
		if !errors.Is(err, durable.ErrEncoded) || !strings.HasPrefix(err.Error(), url+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
		_, err = durable.Connect(t.Context(), url, o)
		if !errors.Is(err, durable.ErrEncoded) {
			t.Errorf("connect with %s: %v", what, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || len(after) != len(before) {
		t.Errorf("the file changed: %v", err)
	}

	rt = open(right)
	if err := rt.Client().RaiseEvent(t.Context(), id, "go", secret); err != nil {
		t.Fatal(err)
	}
	out, err := job.Wait(t.Context(), rt.Client(), id)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "output", out, secret+long+"!")
	state, _, err := box.Get(t.Context(), rt.Client(), "x")
	equal(t, "state", state+fmt.Sprint(err), long[:30]+"<nil>")
	for s, err := range rt.Client().Query(t.Context(), durable.Query{Names: []string{"job"}, Data: true}) {
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "custom status", string(s.CustomStatus), fmt.Sprintf("%q", long[:30]))
	}
	closeRuntime(t, rt)

	h := history.HashOf([]byte(long + "!"))
	files, _ := filepath.Glob(path + "*")
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), secret) || strings.Contains(string(content), string(h[:])) {
			t.Errorf("%s has data or a hash of it", filepath.Base(f))
		}
	}
}

// A store that has data without a codec does not get one.
func TestCodecComesFirst(t *testing.T) {
	m := memory.New()
	o := durable.Options{Logger: quiet}
	job := durable.NewOrchestration("job", func(ctx *durable.Context, _ string) (string, error) { return "", nil })
	rt, err := durable.OpenStore(t.Context(), m, o, job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Run(t.Context(), rt.Client(), ""); err != nil {
		t.Fatal(err)
	}
	closeRuntime(t, rt)
	o.Codec = newSealed("k", 'a')
	if _, err := durable.OpenStore(t.Context(), m.Reopen(), o, job); err == nil || !strings.Contains(err.Error(), "written without a codec") {
		t.Errorf("got %v", err)
	}
	o.Codec = nil
	rt, err = durable.OpenStore(t.Context(), m.Reopen(), o, job)
	if err != nil {
		t.Fatal(err)
	}
	closeRuntime(t, rt)
}

type oddity struct{}

func (*oddity) UnmarshalJSON([]byte) error { return errors.New("never") }

// A value that does not decode gives one error that says which one it is, into what
// it was to go, and where it is wrong, with a piece of it; trying again is no help.
func TestDoesNotDecode(t *testing.T) {
	type order struct {
		Item   string
		Amount int
	}
	tries := 0
	charge := durable.NewActivity("charge", func(ctx context.Context, o order) (string, error) { return "", nil })
	count := durable.NewActivity("count", func(ctx context.Context, o order) (string, error) { tries++; return "", nil })
	odd := durable.NewActivity("odd", func(ctx context.Context, o oddity) (string, error) { return "", nil })
	box := durable.NewEntity[order]("box")
	durable.Operation(box, "set", func(ctx *durable.EntityContext, s *order, in order) (string, error) { return "", nil })
	wrongSet := durable.Operation(durable.NewEntity[order]("box"), "set", func(ctx *durable.EntityContext, s *order, in string) (string, error) { return "", nil })
	big := json.RawMessage(`{"Item":"` + strings.Repeat("x", 100_000) + `","Amount":"many","Note":"` + strings.Repeat("y", 100_000) + `"}`)
	job := durable.NewOrchestration("job", func(ctx *durable.Context, o order) (string, error) {
		var errs []error
		call := func(name string, in any, opts ...durable.CallOption) {
			_, err := durable.CallActivity[string](ctx, name, in, opts...)
			errs = append(errs, err)
		}
		call("charge", big)
		call("count", "text", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 5}))
		call("odd", map[string]string{"a": "b"})
		_, err := wrongSet.Call(ctx, "x", "text")
		errs = append(errs, err)
		_, err = durable.CallActivity[int](ctx, "charge", order{})
		errs = append(errs, err)
		_, err = durable.WaitForEvent[order](ctx, "changed").Await()
		return "", errors.Join(append(errs, err)...)
	})
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet}, charge, count, odd, box, job)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	c := rt.Client()
	for what, id := range map[string]string{"input of its own": "i", "others": "o"} {
		in := any(order{})
		if id == "i" {
			in = []int{1, 2}
		}
		if _, err := c.Schedule(t.Context(), "job", in, durable.WithInstanceID(id)); err != nil {
			t.Fatal(what, err)
		}
	}
	s, err := c.Wait(t.Context(), "i")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "input of its own", s.Failure.Message, "input of orchestration job does not decode into durable_test.order: "+
		"json: cannot unmarshal array into Go value of type durable_test.order, at byte 1: [1,2]")
	equal(t, "non-retriable", s.Failure.NonRetriable, true)
	if err := c.RaiseEvent(t.Context(), "o", "changed", true); err != nil {
		t.Fatal(err)
	}
	if s, err = c.Wait(t.Context(), "o"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(s.Failure.Message, "\n")
	for i, want := range []string{
		"activity charge failed: input of activity charge does not decode into durable_test.order: json: cannot unmarshal string into Go struct field order.Amount of type int, at byte 100026: …",
		`activity count failed: input of activity count does not decode into durable_test.order: json: cannot unmarshal string into Go value of type durable_test.order, at byte 6: "text"`,
		`activity odd failed: input of activity odd does not decode into durable_test.oddity: never: {"a":"b"}`,
		`operation set of @box@x failed: input of operation set of @box@x does not decode into durable_test.order: json: cannot unmarshal string into Go value of type durable_test.order, at byte 6: "text"`,
		`result of activity charge does not decode into int: json: cannot unmarshal string into Go value of type int, at byte 2: ""`,
		`event changed does not decode into durable_test.order: json: cannot unmarshal bool into Go value of type durable_test.order, at byte 4: true`,
	} {
		if i >= len(lines) {
			t.Fatalf("only %d lines", i)
		}
		if !strings.HasPrefix(lines[i], want) || len(lines[i]) > 400 || !utf8.ValidString(lines[i]) {
			t.Errorf("got\n%s\nwant\n%s", lines[i], want)
		}
	}
	if !strings.Contains(lines[0], `xxx","Amount":"many"`) {
		t.Errorf("the piece does not show the mistake: %s", lines[0])
	}
	equal(t, "calls of count", tries, 0)
}
