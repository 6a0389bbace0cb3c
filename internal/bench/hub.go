package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

// hub is a task hub in a directory of its own.
type hub struct {
	*program
	rt      *durable.Runtime
	client  *durable.Client
	file    string
	commits atomic.Uint64
	ids     int
}

// openHub opens the hub in dir, as any program opens one; wrap, unless it is nil,
// stands between the engine and the store.
func openHub(ctx context.Context, dir string, wrap func(store.Store) store.Store) (*hub, error) {
	h := &hub{program: newProgram(), file: filepath.Join(dir, "hub.db")}
	o := durable.Options{OnCommit: func(uint64) { h.commits.Add(1) }}
	var err error
	if wrap == nil {
		h.rt, err = durable.OpenWith(ctx, "sqlite:"+h.file, o, h.definitions()...)
	} else {
		var s *sqlite.Store
		if s, err = sqlite.Open(ctx, h.file, sqlite.Options{}); err == nil {
			h.rt, err = durable.OpenStore(ctx, wrap(s), o, h.definitions()...)
		}
	}
	if err != nil {
		return nil, err
	}
	h.client = h.rt.Client()
	return h, nil
}

// warmSteps are more commits than the store waits for before it grows its log.
const warmSteps = 100

// warm runs a chain, so that the log has grown and all code has run once.
func (h *hub) warm(ctx context.Context) error { return h.run(ctx, h.chain, warmSteps) }

// run runs an orchestration of n steps and checks that it did them.
func (h *hub) run(ctx context.Context, o *durable.Orchestration[int, int], n int) error {
	h.ids++
	return h.runAs(ctx, o, n, o.Name()+"-"+strconv.Itoa(h.ids))
}

func (h *hub) runAs(ctx context.Context, o *durable.Orchestration[int, int], n int, id string) error {
	done, err := o.Run(ctx, h.client, n, durable.WithInstanceID(id))
	if err = counted(done, n, err); err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	return nil
}

// close closes the hub, after which all of it is in the database.
func (h *hub) close() error { return h.rt.Close() }

// walSize gives the size of the write-ahead log while the hub is open.
func (h *hub) walSize() (int64, error) { return fileSize(h.file + "-wal") }

func fileSize(name string) (int64, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// emptySize is what a database takes in which nothing has run.
func emptySize(ctx context.Context, dir string) (int64, error) {
	h, err := openHub(ctx, dir, nil)
	if err != nil {
		return 0, err
	}
	if err := h.close(); err != nil {
		return 0, err
	}
	return fileSize(h.file)
}
