package prompts

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// LoadDev is [LoadDir] for while prompts are being written: whenever the library is asked for one, it first looks
// whether the files have changed, and reads all of them again if so. What it gave before does not change.
//
// If they cannot be loaded then, because an edit is not finished for instance, the library stays as a whole what it
// was, and report, unless it is nil, is told why: once, and from whichever goroutine has asked. Files that change
// while they are read are read again the next time.
//
// Looking costs a file status each, so a program that serves users takes [LoadDir].
func LoadDev(fsys fs.FS, dir string, report func(error)) (*Library, error) {
	d := &dev{fsys: fsys, dir: dir, report: report}
	if err := d.again(); err != nil {
		return nil, err
	}
	if d.good == nil {
		return nil, fmt.Errorf("load prompts: the files in %s change while they are read", dir)
	}
	return &Library{dev: d}, nil
}

// granularity is above how precise file times are: a file that was changed less than this before it was read may be
// changed again and look the same.
const granularity = 2 * time.Second

// dev is a library that looks again.
type dev struct {
	fsys   fs.FS
	dir    string
	report func(error)

	mu   sync.Mutex
	good *set              // what could be loaded last; nil: nothing yet
	err  error             // why what there is now could not be
	seen []stamp           // of what was read last
	old  bool              // seen tells whether something has changed since
	sum  [sha256.Size]byte // of what was read last
}

// stamp is what tells that a file was changed, without reading it.
type stamp struct {
	name string
	size int64
	time time.Time
}

func (d *dev) get(ref string) (*Prompt, error) {
	all, broken := d.look()
	p, err := all.get(ref)
	if err != nil && broken != nil {
		return nil, fmt.Errorf("%w (what was changed since cannot be loaded: %w)", err, broken)
	}
	return p, err
}

// look gives the prompts as they are now, or were when they could be loaded; then the error says why they cannot.
func (d *dev) look() (*set, error) {
	d.mu.Lock()
	before := d.err
	after := d.again()
	all := d.good
	d.mu.Unlock()
	if d.report != nil && after != nil && (before == nil || before.Error() != after.Error()) {
		d.report(after)
	}
	return all, after
}

// again loads what has changed, and gives the error of what there is now.
func (d *dev) again() error {
	begun := time.Now()
	stamps, err := d.stamps()
	if err == nil && d.old && slices.Equal(stamps, d.seen) {
		return d.err
	}
	var files []file
	if err == nil {
		files, err = readDir(d.fsys, d.dir)
	}
	if err != nil {
		d.err, d.old = err, false
		return err
	}
	if now, err := d.stamps(); err != nil || !slices.Equal(now, stamps) {
		d.old = false
		return d.err // they are being written
	}
	d.seen, d.old = stamps, true
	for _, s := range stamps {
		d.old = d.old && !s.time.IsZero() && begun.Sub(s.time) > granularity
	}
	if sum := sumOf(files); d.good == nil || d.err != nil || sum != d.sum {
		d.sum = sum
		var all *set
		if all, d.err = link(d.dir, files); d.err == nil {
			d.good = all
		}
	}
	return d.err
}

func (d *dev) stamps() (list []stamp, err error) {
	err = walk(d.fsys, d.dir, func(name string) error {
		info, err := fs.Stat(d.fsys, name)
		if err != nil {
			return fmt.Errorf("load prompts: %w", err)
		}
		list = append(list, stamp{name, info.Size(), info.ModTime().Round(0)})
		return nil
	})
	return list, err
}

func sumOf(files []file) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d\n", f.name, len(f.data))
		h.Write(f.data)
	}
	h.Sum(sum[:0])
	return sum
}
