package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// hubs is the directory of a server: each hub is opened once, by whoever needs it first.
type hubs struct {
	place
	dev     bool
	most    int // hubs
	limit   int // instances of a hub; 0: none
	do      durable.Options
	workers taskhub.WorkersOptions
	history int // see Limits.History
	log     *slog.Logger
	defs    []durable.Definition
	serve   func(net.Listener) io.Closer // the socket of the default hub
	onHalt  func(error)                  // the default hub cannot go on

	ctx    context.Context // of opening; ends when the server closes
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines that open and watch
	change sync.Mutex     // held by who makes or deletes a hub: one at a time

	mu      sync.Mutex
	open    map[string]*hub  // those that are being opened, too
	going   map[string]bool  // being deleted
	failed  map[string]error // those that could not be opened, by the last attempt
	closing bool
}

var _ taskhub.Directory = (*hubs)(nil)

// hub is one that is open, or is being opened.
type hub struct {
	name  string
	ready chan struct{} // closed when one of the next two is set

	err     error
	rt      *durable.Runtime
	service *taskhub.Service
	workers *taskhub.Workers

	ending chan struct{} // closed when it is closed on purpose
	once   sync.Once
}

func (h *hub) close() error {
	<-h.ready
	h.once.Do(func() { close(h.ending) })
	if h.rt == nil {
		return nil
	}
	h.workers.Close()
	return h.rt.Close()
}

// Service gives a hub, and opens it where that was not done.
func (d *hubs) Service(ctx context.Context, name string) (*taskhub.Service, error) {
	h, err := d.get(ctx, name, d.dev)
	if err != nil {
		return nil, err
	}
	return h.service, nil
}

// get gives an open hub. One that does not exist is made if that is wanted.
func (d *hubs) get(ctx context.Context, name string, create bool) (*hub, error) {
	h, err := d.entry(name, create)
	if err != nil {
		return nil, err
	}
	select {
	case <-h.ready:
		return h, h.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// entry finds a hub in the table, or begins to open it.
func (d *hubs) entry(name string, create bool) (*hub, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closing:
		return nil, fmt.Errorf("the server: %w", taskhub.ErrEnding)
	case d.going[name]:
		return nil, &hubError{fmt.Sprintf("the task hub %q is being deleted", name), durable.ErrNotFound}
	case d.open[name] != nil:
		return d.open[name], nil
	}
	there, err := d.has(name)
	switch {
	case err != nil:
		return nil, err
	case !there && !create && name != taskhub.DefaultHub:
		return nil, errUnknown(name)
	case len(d.open) >= d.most:
		return nil, fmt.Errorf("%w: the server has %d task hubs open; raise that with: agentrun serve --max-hubs", taskhub.ErrLimit, d.most)
	}
	h := &hub{name: name, ready: make(chan struct{}), ending: make(chan struct{})}
	d.open[name] = h
	d.work.Go(func() { d.run(h) })
	return h, nil
}

// run opens a hub and stays with it to its end.
func (d *hubs) run(h *hub) {
	o := d.do
	h.workers = taskhub.NewWorkers(d.workers)
	o.MaxHistory = d.history
	o.Hub, o.Logger, o.Workers = h.name, d.log, h.workers
	if h.name == taskhub.DefaultHub {
		o.Serve = d.serve
	} else {
		o.Logger = d.log.With("hub", h.name)
	}
	rt, err := durable.OpenWith(d.ctx, d.url(h.name), o, d.defs...)
	if err != nil {
		h.workers.Close()
		if h.err = err; h.name != taskhub.DefaultHub {
			h.err = fmt.Errorf("task hub %s: %w", h.name, err)
		}
		d.forget(h, err)
		close(h.ready)
		return
	}
	served := rt.Hub()
	if d.limit > 0 {
		served = taskhub.AtMost(served, d.limit)
	}
	h.rt, h.service = rt, &taskhub.Service{Hub: served, Workers: h.workers}
	d.mu.Lock()
	delete(d.failed, h.name)
	d.mu.Unlock()
	close(h.ready)
	select {
	case <-h.ending:
		return
	case <-rt.Done():
	}
	select {
	case <-h.ending:
		return // both at once
	default:
	}
	d.halted(h)
}

// halted goes on after a hub that stopped by itself. What is on disk is found out by opening it
// again.
func (d *hubs) halted(h *hub) {
	err := h.rt.Err()
	if h.name == taskhub.DefaultHub {
		d.onHalt(err)
		return // it stays in the table, and says to every call why
	}
	h.workers.Close()
	d.log.Error("a task hub stopped; it is opened again", "hub", h.name, "err", err)
	if err := h.rt.Close(); err != nil {
		d.log.Warn("a task hub that stopped did not close well", "hub", h.name, "err", err)
	}
	d.forget(h, err)
	if _, err := d.entry(h.name, false); err != nil && !errors.Is(err, taskhub.ErrEnding) {
		d.log.Error("a task hub cannot be opened", "hub", h.name, "err", err)
	}
}

// forget takes a hub out of the table, so that the next call opens it.
func (d *hubs) forget(h *hub, why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[h.name] == h {
		delete(d.open, h.name)
		if there, err := d.has(h.name); there || err != nil {
			d.failed[h.name] = why
		}
	}
}

// Names lists the hubs.
func (d *hubs) Names(context.Context) ([]string, error) {
	names, err := d.place.names()
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, h := range d.open {
		if !slices.Contains(names, name) && (d.path == "" || !isReady(h)) {
			names = append(names, name) // it is in memory, or just being made
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return d.going[name] })
	slices.Sort(names)
	return names, nil
}

func isReady(h *hub) bool {
	select {
	case <-h.ready:
		return true
	default:
		return false
	}
}

// Create makes a hub.
func (d *hubs) Create(ctx context.Context, name string, recreate bool) error {
	d.change.Lock()
	defer d.change.Unlock()
	there, err := d.exists(name)
	if err != nil {
		return err
	}
	if there && !recreate {
		return errThere(name)
	}
	if there {
		if err := d.delete(name); err != nil {
			return err
		}
	}
	_, err = d.get(ctx, name, true)
	return err
}

// Delete ends a hub and deletes its data.
func (d *hubs) Delete(_ context.Context, name string) error {
	d.change.Lock()
	defer d.change.Unlock()
	there, err := d.exists(name)
	if err == nil && !there {
		err = errUnknown(name)
	}
	if err != nil {
		return err
	}
	return d.delete(name)
}

func (d *hubs) exists(name string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if name == taskhub.DefaultHub || d.open[name] != nil {
		return true, nil
	}
	return d.has(name)
}

// delete goes on to its end whoever has asked for it goes away: half of it helps nobody. Streams and
// waits of the hub end with its runtime.
func (d *hubs) delete(name string) error {
	if err := checkDelete(name); err != nil {
		return err
	}
	d.mu.Lock()
	if d.closing {
		d.mu.Unlock()
		return fmt.Errorf("the server: %w", taskhub.ErrEnding)
	}
	h := d.open[name]
	d.going[name] = true
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.going, name)
		delete(d.failed, name)
	}()
	if h != nil {
		if err := h.close(); err != nil {
			d.log.Warn("a task hub that is deleted did not close well", "hub", name, "err", err)
		}
		d.mu.Lock()
		delete(d.open, name)
		d.mu.Unlock()
	}
	if d.path == "" {
		return nil
	}
	return durable.Remove(d.url(name))
}

// openAll opens the hubs that are on disk: their timers must fire. Those that cannot be are logged.
func (d *hubs) openAll(ctx context.Context) error {
	names, err := d.place.names()
	if err != nil {
		return err
	}
	var wait sync.WaitGroup
	few := make(chan struct{}, 4)
	for _, name := range names {
		few <- struct{}{}
		wait.Go(func() {
			defer func() { <-few }()
			if _, err := d.get(ctx, name, false); err != nil {
				d.log.Error("a task hub cannot be opened; its next call tries again", "hub", name, "err", err)
				d.mu.Lock()
				d.failed[name] = err
				d.mu.Unlock()
			}
		})
	}
	wait.Wait()
	return ctx.Err()
}

// health tells what is wrong with any of the hubs; nil if nothing is.
func (d *hubs) health() error {
	d.mu.Lock()
	open, failed := slices.Collect(maps.Values(d.open)), maps.Clone(d.failed)
	d.mu.Unlock()
	var err error
	for name, why := range failed {
		err = errors.Join(err, fmt.Errorf("task hub %s: %w", name, why))
	}
	for _, h := range open {
		if isReady(h) && h.rt != nil {
			if why := h.rt.Health(); why != nil {
				err = errors.Join(err, fmt.Errorf("task hub %s: %w", h.name, why))
			}
		}
	}
	return err
}

// beginDrain gives out no more work.
func (d *hubs) beginDrain() {
	for _, h := range d.running() {
		h.workers.BeginDrain()
	}
}

// running are the hubs that are open and ready.
func (d *hubs) running() (list []*hub) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.open {
		if isReady(h) && h.rt != nil {
			list = append(list, h)
		}
	}
	return list
}

// drain gives out no more work, and lets workers answer for what they have, for half the time that
// ctx has: what they do not answer goes on with the next server.
func (d *hubs) drain(ctx context.Context) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	var wait sync.WaitGroup
	for _, h := range d.running() {
		wait.Go(func() { h.workers.Drain(ctx) })
	}
	wait.Wait()
}

// close ends all hubs, the default one last: it has the lease of the whole.
func (d *hubs) close() (err error) {
	d.mu.Lock()
	d.closing = true
	open := maps.Clone(d.open)
	d.mu.Unlock()
	d.cancel()
	last := open[taskhub.DefaultHub]
	delete(open, taskhub.DefaultHub)
	errs := make(chan error, len(open))
	for _, h := range open {
		go func() { errs <- h.close() }()
	}
	for range open {
		err = errors.Join(err, <-errs)
	}
	// A hub that is being deleted is not in anybody's way: it is closed by who deletes it.
	d.change.Lock()
	defer d.change.Unlock()
	if last != nil {
		err = errors.Join(err, last.close())
	}
	d.work.Wait()
	return err
}
