package access_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

func create(t testing.TB, f *access.File, role access.Role, hub string) (string, access.Token) {
	t.Helper()
	secret, token, err := f.Create(access.Token{Role: role, Hub: hub})
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func tokenFile(t testing.TB) string { return filepath.Join(t.TempDir(), "new", "tokens.json") }

func TestCreate(t *testing.T) {
	path := tokenFile(t)
	f := access.Open(path)
	if list, err := f.List(); err != nil || len(list) != 0 {
		t.Fatalf("without a file: %v, %v", list, err)
	}
	if _, err := f.Check("art_x"); !errors.Is(err, access.ErrToken) {
		t.Errorf("without a file, a token is %v", err)
	}
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	secret, made, err := f.Create(access.Token{Role: access.Worker, Hub: "a", Note: "ci", Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	if len(secret) != len("art_")+43 || !strings.HasPrefix(secret, "art_"+made.ID) {
		t.Errorf("the secret %q of token %s", secret, made.ID)
	}
	got, err := access.Open(path).Check(secret)
	if diff := cmp.Diff(made, got); diff != "" || err != nil {
		t.Errorf("checked: %v\n%s", err, diff)
	}
	if list, err := f.List(); err != nil || !cmp.Equal(list, []access.Token{made}) {
		t.Errorf("listed: %v, %v", list, err)
	}
	for _, bad := range []access.Token{{Role: "root", Hub: "a"}, {Role: access.Reader}, {Role: access.Reader, Hub: "a", Note: strings.Repeat("x", 201)}} {
		if _, _, err := f.Create(bad); err == nil {
			t.Errorf("%+v was made", bad)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil || bytes.Contains(b, []byte(secret[len("art_")+8:])) {
		t.Errorf("the file has the secret, or %v", err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path + ".*"); len(left) != 1 { // the lock
		t.Errorf("beside the file are %v", left)
	}
}

// TestCheckRefuses tries secrets that differ from a good one in every way.
func TestCheckRefuses(t *testing.T) {
	f := access.Open(tokenFile(t))
	secret, made := create(t, f, access.Admin, "*")
	other := []byte(secret)
	other[len(other)-1] ^= 1
	id := []byte(secret)
	id[4] ^= 1
	for name, bad := range map[string]string{
		"empty": "", "its end": string(other), "its id": string(id), "shorter": secret[:len(secret)-1], "longer": secret + "0",
		"without the prefix": secret[4:], "only the id": made.ID, "another case": strings.ToUpper(secret), "a space": secret + " ", "zero": "art_" + made.ID + strings.Repeat("\x00", 35),
	} {
		if token, err := f.Check(bad); !errors.Is(err, access.ErrToken) || token != (access.Token{}) {
			t.Errorf("%s: %v, %v", name, token, err)
		}
	}
	if _, err := f.Check(secret); err != nil {
		t.Error(err)
	}
}

func TestRevokedAtOnce(t *testing.T) {
	path := tokenFile(t)
	server, shell := access.Open(path), access.Open(path)
	for range 50 { // within the clock's tick, too
		secret, made := create(t, shell, access.Reader, "a")
		if _, err := server.Check(secret); err != nil {
			t.Fatal("not known at once:", err)
		}
		gone, err := shell.Revoke(made.ID)
		if err != nil || gone.Revoked.IsZero() {
			t.Fatal(gone, err)
		}
		if _, err := server.Check(secret); !errors.Is(err, access.ErrToken) || !strings.Contains(err.Error(), "revoked") {
			t.Fatal("after it was revoked:", err)
		}
		if again, err := shell.Revoke(made.ID); err != nil || again != gone {
			t.Fatal("revoked again:", again, err)
		}
	}
	if _, err := shell.Revoke("00000000"); !errors.Is(err, access.ErrNotFound) {
		t.Error("an id that is not there:", err)
	}
}

// TestSeenWithoutRacing has a file that is old enough to be trusted by its time, and then is not.
func TestSeenWithoutRacing(t *testing.T) {
	path := tokenFile(t)
	server, shell := access.Open(path), access.Open(path)
	secret, made := create(t, shell, access.Reader, "a")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := server.Check(secret); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := shell.Revoke(made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Check(secret); !errors.Is(err, access.ErrToken) {
		t.Error("after it was revoked:", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	secret, _ = create(t, shell, access.Reader, "a")
	if _, err := server.Check(secret); err != nil {
		t.Error("in a file that is new:", err)
	}
}

// TestSameTick changes a file so that its size and time stay the same, as they do within a tick of
// a coarse clock.
func TestSameTick(t *testing.T) {
	path := tokenFile(t)
	f := access.Open(path)
	secret, _ := create(t, f, access.Reader, "a")
	if _, err := f.Check(secret); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte(`"hub": "a"`), []byte(`"hub": "b"`), 1)
	if err := errors.Join(os.WriteFile(path, b, 0o600), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Check(secret); err != nil || got.Hub != "b" {
		t.Errorf("the token is for %q, %v", got.Hub, err)
	}
}

func TestExpires(t *testing.T) {
	f := access.Open(tokenFile(t))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.SetNow(func() time.Time { return now })
	secret, _, err := f.Create(access.Token{Role: access.Reader, Hub: "a", Expires: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour - 1)
	if _, err := f.Check(secret); err != nil {
		t.Error("before:", err)
	}
	now = now.Add(1)
	if _, err := f.Check(secret); !errors.Is(err, access.ErrToken) || !strings.Contains(err.Error(), "expired") {
		t.Error("then:", err)
	}
}

// TestManyWriters has as many files as goroutines, as processes would.
func TestManyWriters(t *testing.T) {
	path := tokenFile(t)
	const writers, each = 8, 6
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			f := access.Open(path)
			for i := range each {
				secret, made, err := f.Create(access.Token{Role: access.Reader, Hub: "a"})
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 {
					_, err = f.Revoke(made.ID)
				} else {
					_, err = access.Open(path).Check(secret)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	list, err := access.Open(path).List()
	revoked := 0
	for _, x := range list {
		if !x.Revoked.IsZero() {
			revoked++
		}
	}
	if err != nil || len(list) != writers*each || revoked != writers*each/2 {
		t.Errorf("%d tokens, %d revoked, %v", len(list), revoked, err)
	}
}

// TestUnreadable has files that let nobody in, and are not written over.
func TestUnreadable(t *testing.T) {
	path := tokenFile(t)
	f := access.Open(path)
	secret, _ := create(t, f, access.Admin, "*")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(map[string]any, map[string]any)) []byte {
		var all map[string]any
		if err := json.Unmarshal(good, &all); err != nil {
			t.Fatal(err)
		}
		change(all, all["tokens"].([]any)[0].(map[string]any))
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, bad := range map[string][]byte{
		"empty":     {},
		"cut":       good[:len(good)/2],
		"text":      []byte("tokens"),
		"version":   edit(func(all, _ map[string]any) { all["version"] = 2 }),
		"new field": edit(func(_, token map[string]any) { token["only_on_sundays"] = true }),
		"role":      edit(func(_, token map[string]any) { token["role"] = "root" }),
		"hash":      edit(func(_, token map[string]any) { token["sha256"] = "00" }),
		"id":        edit(func(_, token map[string]any) { token["id"] = "" }),
		"hub":       edit(func(_, token map[string]any) { token["hub"] = "" }),
		"twice":     edit(func(all, token map[string]any) { all["tokens"] = []any{token, token} }),
		"large":     bytes.Repeat([]byte(" "), 9<<20),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Check(secret); err == nil || errors.Is(err, access.ErrToken) || !strings.Contains(err.Error(), path) {
				t.Errorf("check: %v", err)
			}
			if _, _, err := f.Create(access.Token{Role: access.Reader, Hub: "a"}); err == nil {
				t.Error("a token was made")
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, bad) {
				t.Error("the file was written", err)
			}
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Check(secret); err != nil {
				t.Errorf("when it is good again: %v", err)
			}
		})
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Check(secret); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("open to others: %v", err)
	}
}

func TestRoles(t *testing.T) {
	want := map[access.Role]string{access.Reader: "r", access.Operator: "ro", access.Worker: "rw", access.Admin: "rowa", "": "", "root": ""}
	for role, includes := range want {
		got := ""
		for _, need := range access.Roles() {
			if role.Includes(need) {
				got += string(need[:1])
			}
		}
		if got != includes || role.Includes("") || role.Includes("root") {
			t.Errorf("%q includes %q, want %q", role, got, includes)
		}
	}
	for _, r := range access.Roles() {
		if got, err := access.ParseRole(string(r)); got != r || err != nil {
			t.Error(got, err)
		}
	}
	if _, err := access.ParseRole("Reader"); err == nil || !strings.Contains(err.Error(), "reader, operator, worker, admin") {
		t.Error(err)
	}
}

func TestContext(t *testing.T) {
	if _, ok := access.FromContext(context.Background()); ok {
		t.Error("a token from nowhere")
	}
	want := access.Token{ID: "x", Hub: "a"}
	if got, ok := access.FromContext(access.NewContext(context.Background(), want)); !ok || got != want {
		t.Error(got, ok)
	}
	if !want.Covers("a") || want.Covers("b") || want.Covers("*") || !(access.Token{Hub: "*"}).Covers("b") {
		t.Error("covers")
	}
}
