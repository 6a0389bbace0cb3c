package models

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// counted is a model that answers with text, which counts how often it is asked.
func counted(resp *Response) (modelFunc, *int) {
	n := new(int)
	return func(_ context.Context, y func(Event, error) bool) {
		*n++
		c := *resp
		_ = y(Event{Delta: resp.Message.Content}, nil) && y(Event{Response: &c}, nil)
	}, n
}

func ask(t *testing.T, m Model, text string) *Response {
	t.Helper()
	resp, err := Collect(m.Generate(t.Context(), &Request{Model: "m", Messages: []Message{UserMessage(text)}}))
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func noErrors(t *testing.T) CacheOptions {
	return CacheOptions{OnError: func(err error) { t.Error(err) }}
}

// caches are those that everybody must find the same behaviour in.
func caches(t *testing.T) map[string]Cache {
	dir, err := OpenDirCache(filepath.Join(t.TempDir(), "new", "cache"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	return map[string]Cache{"memory": NewMemoryCache(0), "directory": dir}
}

func TestCacheAnswers(t *testing.T) {
	for name, c := range caches(t) {
		t.Run(name, func(t *testing.T) {
			answer := &Response{Message: AssistantMessage("naïve \x00 text", ToolCall{ID: "1", Name: "f", Arguments: `{"a":1}`}),
				Finish: FinishToolCalls, Usage: Usage{InputTokens: 7, OutputTokens: 3}, Model: "m-1", ID: "x"}
			m, calls := counted(answer)
			front := WithCache(m, c, noErrors(t))
			if first := ask(t, front, "hello"); first.Cached {
				t.Error("the first answer says that it was cached")
			}
			text, resp, err := events(t.Context(), WithCache(m, c, noErrors(t))) // another request: it has no message
			if err != nil || *calls != 2 || resp.Cached {
				t.Errorf("another request: %d calls, %q, %v", *calls, text, err)
			}
			text, again, err := events(t.Context(), WithCache(m, c, noErrors(t)))
			if err != nil || *calls != 2 || text != answer.Message.Content+"." {
				t.Fatalf("%d calls, %q, %v", *calls, text, err)
			}
			want := *answer
			want.Cached = true
			if got := fmt.Sprintf("%+v", *again); got != fmt.Sprintf("%+v", want) {
				t.Errorf("kept %s", got)
			}
			scoped := noErrors(t)
			scoped.Scope = "elsewhere"
			if got := ask(t, WithCache(m, c, scoped), "hello"); got.Cached {
				t.Error("an answer of another scope was taken")
			}
		})
	}
}

func TestCacheKeepsNot(t *testing.T) {
	cut, held := say("half"), say("no")
	cut.Finish, held.Finish = FinishLength, FinishContentFilter
	for name, m := range map[string]Model{
		"cut":      modelFunc(func(_ context.Context, y func(Event, error) bool) { y(Event{Response: cut}, nil) }),
		"withheld": modelFunc(func(_ context.Context, y func(Event, error) bool) { y(Event{Response: held}, nil) }),
		"failure":  fails(busy(0)),
		"unusable": modelFunc(func(_ context.Context, y func(Event, error) bool) { y(Event{Response: say("")}, nil) }),
		"stand-in": Fallback([]Named{{"a", fails(busy(0))}, {"b", says("hi")}}, FallbackOptions{}),
	} {
		c := NewMemoryCache(0)
		_, _ = Collect(WithCache(m, c, noErrors(t)).Generate(t.Context(), &Request{}))
		if len(c.entries) != 0 {
			t.Errorf("%s: it was kept", name)
		}
	}
	// What was tried again is kept, but not that it was.
	m, _ := flaky(busy(0))
	front := WithCache(WithRetry(m, RetryOptions{FirstInterval: 1}), NewMemoryCache(0), noErrors(t))
	if first := ask(t, front, "hello"); len(first.Tried) != 1 {
		t.Errorf("first answer %+v", first)
	}
	if again := ask(t, front, "hello"); !again.Cached || again.Tried != nil {
		t.Errorf("second answer %+v", again)
	}
}

func TestCacheMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, calls := counted(say("hi"))
		front := WithCache(m, NewMemoryCache(0), CacheOptions{MaxAge: time.Hour})
		for _, tt := range []struct {
			wait  time.Duration
			calls int
		}{{0, 1}, {time.Hour, 1}, {time.Second, 2}, {time.Minute, 2}} {
			time.Sleep(tt.wait)
			if ask(t, front, "hello"); *calls != tt.calls {
				t.Errorf("after %s more: %d calls, not %d", tt.wait, *calls, tt.calls)
			}
		}
	})
}

// entryFile gives the one file of a cache directory.
func entryFile(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(all) != 1 {
		t.Fatalf("files %v, %v", all, err)
	}
	return all[0]
}

// TestCacheBroken shows that no file, whatever it holds, fails a request or is taken
// for an answer.
func TestCacheBroken(t *testing.T) {
	dir := t.TempDir()
	c, err := OpenDirCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, calls := counted(say("hello there"))
	var told []error
	front := WithCache(m, c, CacheOptions{OnError: func(err error) { told = append(told, err) }})
	ask(t, front, "hello")
	file := entryFile(t, dir)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(strings.Replace(string(whole), "there", "thera", 1))
	other := entryOf(t, strings.Repeat("a", 64), say("of another request"))
	bad := entryOf(t, strings.TrimSuffix(filepath.Base(filepath.Dir(file))+filepath.Base(file), ".json"), say(""))
	null := []byte(hashOf([]byte("null")) + "\nnull")
	for name, content := range map[string][]byte{
		"cut": whole[:len(whole)/2], "empty": {}, "flipped": flipped, "other": other, "unusable": bad, "null": null, "no line": []byte("x"),
	} {
		*calls, told = 0, nil
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, front, "hello"); got.Cached || *calls != 1 || len(told) != 1 {
			t.Errorf("%s: cached %v, %d calls, told %v", name, got.Cached, *calls, told)
		}
		if got := ask(t, front, "hello"); !got.Cached || *calls != 1 {
			t.Errorf("%s: it was not mended: %d calls, told %v", name, *calls, told)
		}
	}
	// A directory in the file's place can be neither read nor replaced.
	*calls, told = 0, nil
	if err := errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "sub"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if ask(t, front, "hello"); *calls != 1 || len(told) != 2 {
		t.Errorf("%d calls, told %v", *calls, told)
	}
}

func entryOf(t *testing.T, key string, r *Response) []byte {
	t.Helper()
	b, err := encodeEntry(cacheEntry{Key: key, Response: r})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDirCacheConfined shows that neither keys nor links lead out of the directory, and
// that others cannot read what is in it.
func TestDirCacheConfined(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	key := strings.Repeat("ab", 32)
	if err := os.WriteFile(filepath.Join(outside, key[2:]+".json"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "ab")); err != nil {
		t.Fatal(err)
	}
	c, err := OpenDirCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Get(t.Context(), key); err == nil || got != nil {
		t.Errorf("read %q, %v through a link", got, err)
	}
	if err := c.Put(t.Context(), key, []byte("x")); err == nil {
		t.Error("wrote through a link")
	}
	for _, bad := range []string{"", "../" + key, key[:63], strings.ToUpper(key), key + "/", strings.Repeat("..", 32)} {
		if _, err := c.Get(t.Context(), bad); err == nil {
			t.Errorf("Get took the key %q", bad)
		}
		if err := c.Put(t.Context(), bad, nil); err == nil {
			t.Errorf("Put took the key %q", bad)
		}
		if err := NewMemoryCache(0).Put(t.Context(), bad, nil); err == nil {
			t.Errorf("the memory took the key %q", bad)
		}
	}
	good := strings.Repeat("cd", 32)
	if err := c.Put(t.Context(), good, []byte("x")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, good[:2], good[2:]+".json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestDirCacheTogether has writers of one entry and readers who must never see a part.
func TestDirCacheTogether(t *testing.T) {
	c, err := OpenDirCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	key := strings.Repeat("0f", 32)
	values := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<18)}
	var group sync.WaitGroup
	for _, v := range values {
		group.Go(func() {
			for range 30 {
				if err := c.Put(t.Context(), key, []byte(v)); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for range 60 {
				if got, err := c.Get(t.Context(), key); err != nil || got != nil && string(got) != values[0] && string(got) != values[1] {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
}

func TestDirCacheTrim(t *testing.T) {
	dir := t.TempDir()
	c, err := OpenDirCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	old := time.Now().Add(-48 * time.Hour)
	at := func(name string, d time.Duration) {
		t.Helper()
		if err := os.Chtimes(filepath.Join(dir, name), old.Add(d), old.Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	for i, k := range []string{"c", "a", "b"} {
		key := strings.Repeat(k, 64)
		if err := c.Put(t.Context(), key, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		_, name := file(key)
		at(name, time.Duration(i)*time.Minute)
	}
	_, name := file(strings.Repeat("a", 64))
	for _, other := range []string{name + ".ABC.tmp", "notes.txt", "aa/notes.json"} {
		if err := os.WriteFile(filepath.Join(dir, other), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		at(other, 0)
	}
	if err := c.Trim(250); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]bool{"a": true, "b": true, "c": false} {
		if got, err := c.Get(t.Context(), strings.Repeat(k, 64)); err != nil || (got != nil) != want {
			t.Errorf("%s: there %v, %v", k, got != nil, err)
		}
	}
	for other, want := range map[string]bool{name + ".ABC.tmp": false, "notes.txt": true, "aa/notes.json": true} {
		if _, err := os.Stat(filepath.Join(dir, other)); (err == nil) != want {
			t.Errorf("%s: %v", other, err)
		}
	}
}

func TestMemoryCacheForgets(t *testing.T) {
	c := NewMemoryCache(3 * (1000 + entryOverhead))
	key := func(i int) string { return fmt.Sprintf("%064d", i) }
	for i := range 3 {
		if err := c.Put(t.Context(), key(i), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = c.Get(t.Context(), key(0))                    // used, so 1 is the one to go
	_ = c.Put(t.Context(), key(2), make([]byte, 900))    // replaced, not added
	_ = c.Put(t.Context(), key(3), make([]byte, 1000))   // one too many
	_ = c.Put(t.Context(), key(4), make([]byte, 100000)) // more than all
	for i, want := range []bool{true, false, true, true, false} {
		if got, err := c.Get(t.Context(), key(i)); err != nil || (got != nil) != want {
			t.Errorf("%d: there %v, %v", i, got != nil, err)
		}
	}
	var used int64
	for _, el := range c.entries {
		used += el.Value.(*memoryEntry).size()
	}
	if used != c.used || used > c.max || c.order.Len() != len(c.entries) {
		t.Errorf("%d bytes of %d, counted %d; %d and %d entries", used, c.max, c.used, c.order.Len(), len(c.entries))
	}
}

// FuzzCacheEntry shows that whatever is in a cache is refused, or is an answer that
// could have come from a model.
func FuzzCacheEntry(f *testing.F) {
	key := strings.Repeat("a", 64)
	for _, body := range []string{"", "null", `{"key":"` + key + `"}`, `{"key":"` + key + `","response":{"message":{"role":"assistant","content":"hi"},"finish":"stop"}}`} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, hashed bool) {
		if hashed {
			body = append([]byte(hashOf(body)+"\n"), body...)
		}
		if e, err := decodeEntry(key, body); err == nil && (e.Key != key || e.Response == nil || e.Response.Validate() != nil) {
			t.Errorf("taken: %+v", e)
		}
	})
}
