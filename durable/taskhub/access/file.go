package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Bounds of a file of tokens.
const (
	maxTokens = 10_000
	maxBytes  = 8 << 20
	maxNote   = 200 // bytes
)

// fileVersion is that of the file's form.
const fileVersion = 1

// File is a file of tokens. Its methods may be called from any goroutine, and the file may be used
// by several processes.
type File struct {
	path string
	now  func() time.Time

	mu     sync.Mutex
	info   fs.FileInfo // of the file when it was read; nil: it was not, or there was none
	read   time.Time   // when
	tokens map[string]*record
	err    error
}

// Open gives the file at path, which need not exist yet: then there are no tokens.
func Open(path string) *File { return &File{path: path, now: time.Now} }

// Create makes a token of the given role, hub, note and expiry, and gives the secret, which is
// nowhere to be found later.
func (f *File) Create(t Token) (secret string, made Token, err error) {
	if _, err := ParseRole(string(t.Role)); err != nil {
		return "", Token{}, err
	}
	if t.Hub == "" || len(t.Note) > maxNote {
		return "", Token{}, fmt.Errorf("a token has a hub, or %q for all, and a note of up to %d bytes", AllHubs, maxNote)
	}
	err = f.change(func(list []record) ([]record, error) {
		if len(list) >= maxTokens {
			return nil, fmt.Errorf("%s has %d tokens, which is the most; move it away to begin anew", f.path, len(list))
		}
		t.Created, t.Revoked = f.now().UTC().Truncate(time.Second), time.Time{}
		for {
			secret = newSecret()
			t.ID, _ = idOf(secret)
			if !slices.ContainsFunc(list, func(r record) bool { return r.ID == t.ID }) {
				break
			}
		}
		sum := sha256.Sum256([]byte(secret))
		return append(list, record{Token: t, SHA256: hex.EncodeToString(sum[:])}), nil
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// List gives all tokens, the revoked ones too, in the order in which they were made.
func (f *File) List() ([]Token, error) {
	list, _, err := f.load()
	tokens := make([]Token, len(list))
	for i := range list {
		tokens[i] = list[i].Token
	}
	return tokens, err
}

// Revoke makes a token invalid for good. Doing it again changes nothing. An id that no token has is
// ErrNotFound.
func (f *File) Revoke(id string) (t Token, err error) {
	err = f.change(func(list []record) ([]record, error) {
		i := slices.IndexFunc(list, func(r record) bool { return r.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("%w: %.80q", ErrNotFound, id)
		}
		if list[i].Revoked.IsZero() {
			list[i].Revoked = f.now().UTC().Truncate(time.Second)
		}
		t = list[i].Token
		return list, nil
	})
	return t, err
}

// Check gives the token that a secret belongs to. An error that wraps ErrToken says that the secret
// is not valid; any other one that the file cannot be read, and then no secret is.
func (f *File) Check(secret string) (Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return Token{}, err
	}
	id, _ := idOf(secret)
	return f.tokens[id].accepts(secret, f.now())
}

// racy is how young a file may be for its time to tell nothing: one that is written again within
// the clock's tick looks the same.
const racy = 2 * time.Second

// refresh reads the file if it may have changed.
func (f *File) refresh() error {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.info, f.tokens, f.err = nil, nil, nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if f.info != nil && os.SameFile(f.info, info) && f.info.ModTime().Equal(info.ModTime()) && f.info.Size() == info.Size() && f.info.Mode() == info.Mode() && f.read.Sub(info.ModTime()) > racy {
		return f.err
	}
	f.read = time.Now()
	list, info, err := f.load()
	f.info, f.err, f.tokens = info, err, map[string]*record{}
	for i := range list {
		f.tokens[list[i].ID] = &list[i]
	}
	return err
}

// contents is what the file holds, as JSON.
type contents struct {
	Version int      `json:"version"`
	Tokens  []record `json:"tokens"`
}

// load reads the file. Where there is none it has no tokens.
func (f *File) load() (list []record, info fs.FileInfo, err error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("tokens: %w", err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, nil, fmt.Errorf("tokens: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, info, fmt.Errorf("%s is open to others (mode %v): make it yours alone with chmod 600, and its tokens anew if somebody may have changed it", f.path, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, info, fmt.Errorf("tokens: %w", err)
	}
	if len(b) > maxBytes {
		return nil, info, fmt.Errorf("%s is larger than any file of tokens; restore it, or move it away to begin anew", f.path)
	}
	var c contents
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // a newer program's limits must not be overlooked
	err = d.Decode(&c)
	if err == nil && c.Version != fileVersion {
		err = fmt.Errorf("its version is %d, and this program knows %d", c.Version, fileVersion)
	}
	seen := map[string]bool{}
	for i := range c.Tokens {
		if err == nil {
			err = c.Tokens[i].check()
		}
		if err == nil && seen[c.Tokens[i].ID] {
			err = fmt.Errorf("token %s is there twice", c.Tokens[i].ID)
		}
		seen[c.Tokens[i].ID] = true
	}
	if err != nil {
		return nil, info, fmt.Errorf("%s cannot be used: %w; restore it, or move it away to begin anew", f.path, err)
	}
	return c.Tokens, info, nil
}

// lockWithin bounds the wait for another process that changes the file.
const lockWithin = 5 * time.Second

// change writes the file anew, under a lock that keeps others from doing so at the same time.
// Readers see the former file or the new one.
func (f *File) change(edit func([]record) ([]record, error)) (err error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	lock := flock.New(f.path+".lock", flock.SetPermissions(0o600))
	ctx, cancel := context.WithTimeout(context.Background(), lockWithin)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		return fmt.Errorf("tokens: lock %s.lock: %w", f.path, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	list, _, err := f.load()
	if err != nil {
		return err
	}
	if list, err = edit(list); err != nil {
		return err
	}
	b, err := json.MarshalIndent(contents{fileVersion, list}, "", "  ")
	if err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if err := replace(f.path, append(b, '\n')); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return nil
}

// replace makes a file have these bytes, all of them or none, also after a power cut.
func replace(path string, b []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(b)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // not possible on Windows, and not needed there
		_ = dir.Close()
	}
	return nil
}
