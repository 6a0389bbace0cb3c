package models

import (
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// MemoryCache is a [Cache] in memory. Where there is no more room it forgets what was
// not used for longest.
type MemoryCache struct {
	max int64

	mu      sync.Mutex
	used    int64
	entries map[string]*list.Element
	order   *list.List // of memoryEntry, the last used in front
}

type memoryEntry struct {
	key   string
	value []byte
}

// entryOverhead is about what an entry takes beside its value.
const entryOverhead = 256

func (e *memoryEntry) size() int64 { return int64(len(e.value)) + entryOverhead }

// NewMemoryCache makes a cache that takes about maxBytes of memory at most; 0 means
// 64 MiB. An answer that alone takes more is not kept.
func NewMemoryCache(maxBytes int64) *MemoryCache {
	if maxBytes <= 0 {
		maxBytes = 64 << 20
	}
	return &MemoryCache{max: maxBytes, entries: map[string]*list.Element{}, order: list.New()}
}

// Get implements [Cache].
func (c *MemoryCache) Get(_ context.Context, key string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el := c.entries[key]
	if el == nil {
		return nil, nil
	}
	c.order.MoveToFront(el)
	return slices.Clone(el.Value.(*memoryEntry).value), nil
}

// Put implements [Cache].
func (c *MemoryCache) Put(_ context.Context, key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	e := &memoryEntry{key, slices.Clone(value)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(c.entries[key])
	if e.size() > c.max {
		return nil
	}
	for c.used+e.size() > c.max {
		c.drop(c.order.Back())
	}
	c.entries[key] = c.order.PushFront(e)
	c.used += e.size()
	return nil
}

func (c *MemoryCache) drop(el *list.Element) {
	if el == nil {
		return
	}
	e := c.order.Remove(el).(*memoryEntry)
	delete(c.entries, e.key)
	c.used -= e.size()
}

// DirCache is a [Cache] of files in a directory, one for each answer, which only the
// user can read. Processes may share it: a file is there whole or not at all. Files may
// be deleted at any time. Close it when it is no longer needed.
type DirCache struct{ root *os.Root }

// OpenDirCache opens the directory, and makes it if it is not there. Nothing outside
// of it is read or written, wherever links in it lead.
func OpenDirCache(dir string) (*DirCache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &DirCache{root}, nil
}

// Close lets go of the directory.
func (c *DirCache) Close() error { return c.root.Close() }

// file is where an entry is: a directory has 256 others at most, and then files.
func file(key string) (dir, name string) { return key[:2], key[:2] + "/" + key[2:] + ".json" }

// Get implements [Cache].
func (c *DirCache) Get(_ context.Context, key string) ([]byte, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	_, name := file(key)
	info, err := c.root.Stat(name) // before it is opened: to open a pipe would wait for its writer
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no file", name)
	}
	f, err := c.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	value, err := io.ReadAll(io.LimitReader(f, maxEntry+1))
	if err == nil && len(value) > maxEntry {
		err = fmt.Errorf("%s has more than %d bytes", name, maxEntry)
	}
	return value, err
}

// Put implements [Cache].
func (c *DirCache) Put(_ context.Context, key string, value []byte) error {
	if err := checkKey(key); err != nil {
		return err
	}
	dir, name := file(key)
	if err := c.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Written beside its place and then put there in one step. It is not forced to the
	// disk: what a power cut leaves of it does not have its hash, and is not used.
	part := name + "." + rand.Text() + tempSuffix
	if err := c.root.WriteFile(part, value, 0o600); err != nil {
		return errors.Join(err, c.root.Remove(part))
	}
	if err := c.root.Rename(part, name); err != nil {
		return errors.Join(err, c.root.Remove(part))
	}
	return nil
}

const tempSuffix = ".tmp"

// Trim deletes the answers that were written longest ago until the rest takes maxBytes
// at most, and what writers that were killed left behind. Programs call it when it
// suits them, such as at their start.
func (c *DirCache) Trim(maxBytes int64) error {
	type entry struct {
		name string
		size int64
		at   time.Time
	}
	var all []entry
	var used int64
	var errs []error
	err := fs.WalkDir(c.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		part, ours := ownFile(name)
		info, err := d.Info()
		if err != nil || !ours { // another process has deleted it, or put it there
			return nil
		}
		if part {
			if time.Since(info.ModTime()) > time.Hour { // nobody writes for so long
				errs = append(errs, c.remove(name))
			}
			return nil
		}
		all = append(all, entry{name, info.Size(), info.ModTime()})
		used += info.Size()
		return nil
	})
	errs = append(errs, err)
	slices.SortFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
	for _, e := range all {
		if used <= maxBytes {
			break
		}
		errs = append(errs, c.remove(e.name))
		used -= e.size
	}
	return errors.Join(errs...)
}

// ownFile reports whether a cache gives a file such a name, and whether it does so only
// until the file is whole.
func ownFile(name string) (part, ours bool) {
	dir, rest, _ := strings.Cut(name, "/")
	key, rest, ok := strings.Cut(rest, ".json")
	if !ok || len(dir) != 2 || checkKey(dir+key) != nil {
		return false, false
	}
	part = strings.HasPrefix(rest, ".") && strings.HasSuffix(rest, tempSuffix)
	return part, part || rest == ""
}

func (c *DirCache) remove(name string) error {
	if err := c.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
