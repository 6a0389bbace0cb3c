package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// stateVariable names the environment variable with the folder of the
// example's production.
const stateVariable = "AGENTRUN_INCIDENT_STATE"

// stateDir is the folder of the example's production.
func stateDir() string {
	if dir := os.Getenv(stateVariable); dir != "" {
		return dir
	}
	return filepath.Join(".agentrun", "incident")
}

// effect is one thing done to the production: a line of its journal.
type effect struct {
	Key     string    `json:"key"`
	Service string    `json:"service"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	Time    time.Time `json:"time"`
}

func (e effect) result() RollBackResult {
	return RollBackResult{Service: e.Service, From: e.From, To: e.To}
}

// journal is a file of effects, one JSON object a line. An effect happened if
// its whole object is in the file. A crash can tear only the line that is being
// written, and a torn object is an effect that did not happen.
type journal struct{ path string }

// appending keeps the appends of this process apart: each looks at the file's
// end first. No other process appends at the same time, because the engine
// runs activities in one process only.
var appending sync.Mutex

// append writes an effect with one write and returns when it is on the disk.
func (j journal) append(e effect) (err error) {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	appending.Lock()
	defer appending.Unlock()
	if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	torn, err := endsTorn(f)
	if err != nil {
		return err
	}
	if torn {
		// What a crash tore must not swallow the line that comes after it.
		line = append([]byte("\n"), line...)
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(j.path)) // the file itself may be new
}

// endsTorn reports whether the file's last line has no newline.
func endsTorn(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false, err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, info.Size()-1); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return last[0] != '\n', nil
}

// read returns the effects in order. A file that does not exist has none.
func (j journal) read() ([]effect, error) {
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var effects []effect
	n := 0
	for line := range bytes.Lines(b) {
		n++
		// A power cut may leave zeros where the line was to be.
		line = bytes.TrimRight(line, "\x00\n")
		var e effect
		err := json.NewDecoder(bytes.NewReader(line)).Decode(&e)
		switch {
		case err == nil:
			effects = append(effects, e)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			// Empty, or right as far as it goes: torn.
		default:
			return nil, fmt.Errorf("%s:%d: %w: restore the file, or remove the line if what it says did not happen", j.path, n, err)
		}
	}
	return effects, nil
}

// sync makes durable what read returned: a line may have been written by a
// process that was killed before it could wait for the disk.
func (j journal) sync() error {
	f, err := os.OpenFile(j.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDir(filepath.Dir(j.path)))
}

// replaceFile gives a file a new content that is there as a whole or not at all.
func replaceFile(path, content string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in a folder durable. Windows has no such call, and
// needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
