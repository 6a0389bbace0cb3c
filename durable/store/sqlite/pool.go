package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"zombiezen.com/go/sqlite"
)

// maxReaders bounds the connections that read: each has a page cache, and each
// read under way may keep the log from starting anew.
const maxReaders = 4

// pool lends connections for reading. They are opened when they are first
// needed.
type pool struct {
	path string
	free chan struct{} // a token for each connection that may be lent

	mu   sync.Mutex
	idle []*sqlite.Conn
}

func newPool(path string) *pool {
	p := &pool{path: path, free: make(chan struct{}, maxReaders)}
	for range maxReaders {
		p.free <- struct{}{}
	}
	return p
}

// borrow waits for a connection. What runs on it stops when ctx is done.
func (p *pool) borrow(ctx context.Context) (*sqlite.Conn, error) {
	select {
	case <-p.free:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	c, err := p.take()
	if err != nil {
		p.free <- struct{}{}
		return nil, err
	}
	c.SetInterrupt(ctx.Done())
	return c, nil
}

func (p *pool) take() (*sqlite.Conn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	c, err := sqlite.OpenConn(p.path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(busyTimeout)
	for _, q := range []string{"pragma query_only = on", "pragma temp_store = memory"} {
		if err := run(c, q); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// give takes a connection back and ends what was left running on it.
func (p *pool) give(c *sqlite.Conn) {
	c.SetInterrupt(nil)
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	p.free <- struct{}{}
}

// close closes all connections; none is lent by then.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, c := range p.idle {
		errs = append(errs, c.Close())
	}
	p.idle = nil
	return errors.Join(errs...)
}

// read runs f on a connection. f must not call out of the package: whoever holds
// a connection while waiting for another would stop all readers.
func (s *Store) read(ctx context.Context, f func(c *sqlite.Conn) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	c, err := s.readers.borrow(ctx)
	if err == nil {
		err = f(c)
		s.readers.give(c)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultInterrupt:
		err = context.Cause(ctx)
	}
	return fmt.Errorf("store %s: %w", s.name, err)
}

// each runs a query on a connection and calls row for each row of its answer.
func each(c *sqlite.Conn, query string, bind func(*sqlite.Stmt), row func(*sqlite.Stmt) error) (err error) {
	st, err := c.Prepare(query)
	if err != nil {
		return err
	}
	defer func() {
		if rerr := st.Reset(); err == nil {
			err = rerr
		}
	}()
	if bind != nil {
		bind(st)
	}
	for {
		more, err := st.Step()
		if err != nil || !more {
			return err
		}
		if err := row(st); err != nil {
			return err
		}
	}
}
