package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// writer is the connection that commits, with its statements prepared. It is
// guarded by Store.mu.
type writer struct {
	conn *sqlite.Conn

	begin, commit, rollback, epoch, log              *sqlite.Stmt
	insert, marks, update, updateRunnable, updateDue *sqlite.Stmt
	updateBoth, row, ended, message, consume         *sqlite.Stmt
	payload, ref, effect                             *sqlite.Stmt
	purge                                            purger
	progress, forget                                 *sqlite.Stmt
}

// An update names an indexed column only if it changes: a column that is set
// costs its index two operations and a dirty page even when its value stays.
const update = `update instance set version=?2, execution=?3, generation=?4, status=?5, updated=?6,
	completed=?7, pending=?8, first=?9, last=?10, events=?11, lockedby=?12, custom=?13, state=?14`

func newWriter(c *sqlite.Conn) (*writer, error) {
	w := &writer{conn: c}
	for _, p := range []struct {
		st    **sqlite.Stmt
		query string
	}{
		{&w.begin, `begin immediate`},
		{&w.commit, `commit`},
		{&w.rollback, `rollback`},
		{&w.log, `pragma wal_checkpoint(noop)`},
		{&w.epoch, `select epoch from meta where one = 1`},
		{&w.marks, `select runnable, due from instance where num = ?1`},
		{&w.insert, `insert into instance(num, version, execution, generation, status, updated,
			completed, pending, first, last, events, lockedby, custom, state, runnable, due,
			id, name, parent, origin, created, tags)
			values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)`},
		{&w.update, update + ` where num = ?1`},
		{&w.updateRunnable, update + `, runnable=?15 where num = ?1`},
		{&w.updateDue, update + `, due=?16 where num = ?1`},
		{&w.updateBoth, update + `, runnable=?15, due=?16 where num = ?1`},
		{&w.row, `insert into history(k, prev, data) values(?1, ?2, ?3)`},
		{&w.ended, `insert into execution(num, generation, id, first, last, events, started) values(?1, ?2, ?3, ?4, ?5, ?6, ?7)`},
		{&w.message, `insert into inbox(k, dst, data) values(?1, ?2, ?3)`},
		{&w.consume, `delete from inbox where k = ?1`},
		{&w.payload, `insert into payload(hash, data) values(?1, ?2) on conflict do nothing`},
		{&w.ref, `insert into payload_ref(num, hash) values(?1, ?2) on conflict do nothing`},
		{&w.effect, `insert or replace into effect(num, execution, id, activity, key, intent, receipt, failed)
			values(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`},
		{&w.progress, `insert or replace into progress(num, execution, call, at, data) values(?1, ?2, ?3, ?4, ?5)`},
		{&w.forget, `delete from progress where num = ?1 and execution = ?2 and call = ?3`},
	} {
		st, err := c.Prepare(p.query)
		if err != nil {
			return nil, err
		}
		*p.st = st
	}
	return w, w.purge.prepare(c)
}

// execute runs a statement whose values are bound, and makes it ready for the next
// ones.
func execute(st *sqlite.Stmt) error {
	if _, err := st.Step(); err != nil {
		return err
	}
	return st.Reset()
}

// Commit makes b durable in one transaction. ctx is looked at before the
// transaction begins and not after.
func (s *Store) Commit(ctx context.Context, b *store.Batch) error {
	return s.transact(ctx, func(w *writer) error { return w.write(b) })
}

// transact makes one transaction of what write does.
func (s *Store) transact(ctx context.Context, write func(*writer) error) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	s.check.holdBack()
	w := s.w
	if !w.conn.AutocommitEnabled() { // a rollback failed
		if err := execute(w.rollback); err != nil {
			return s.failed(err, false)
		}
	}
	err := execute(w.begin)
	atCommit := false
	if err == nil {
		if err = write(w); err == nil {
			atCommit = true
			err = execute(w.commit)
		}
	}
	if err == nil {
		s.check.committed(w)
		return nil
	}
	if !errors.Is(err, store.ErrFenced) {
		err = s.failed(err, atCommit)
	} else {
		err = fmt.Errorf("store %s: %w", s.name, err)
	}
	if errors.Is(err, store.ErrUnknown) {
		s.broken = err
	}
	// SQLite has rolled back by itself after some errors. What is left open if
	// this fails is rolled back before the next commit.
	if !w.conn.AutocommitEnabled() {
		if rerr := execute(w.rollback); rerr != nil {
			s.log.Warn("rollback failed", "error", rerr)
		}
	}
	return err
}

func (w *writer) write(b *store.Batch) error {
	if err := w.fence(b.Epoch); err != nil {
		return err
	}
	var gone map[int64]bool // messages that went with a purged instance
	for _, num := range b.Purged {
		var err error
		if gone, err = w.purge.mark(w.conn, num, gone); err != nil {
			return fmt.Errorf("purge of instance %d: %w", num, err)
		}
	}
	for i := range b.History {
		r := &b.History[i]
		w.row.BindInt64(1, r.Key)
		w.row.BindInt64(2, r.Prev)
		w.row.BindBytes(3, r.Data)
		if err := execute(w.row); err != nil {
			return fmt.Errorf("history row %d: %w", r.Key, err)
		}
	}
	for i := range b.Instances {
		if err := w.instance(&b.Instances[i]); err != nil {
			return fmt.Errorf("instance %d (%q): %w", b.Instances[i].Num, b.Instances[i].ID, err)
		}
	}
	for i := range b.Ended {
		if err := w.execution(&b.Ended[i]); err != nil {
			return fmt.Errorf("generation %d of instance %d: %w", b.Ended[i].Generation, b.Ended[i].Num, err)
		}
	}
	for i := range b.Inbox {
		m := &b.Inbox[i]
		w.message.BindInt64(1, m.Key)
		w.message.BindText(2, m.To)
		w.message.BindBytes(3, m.Data)
		if err := execute(w.message); err != nil {
			return fmt.Errorf("message %d: %w", m.Key, err)
		}
	}
	for _, k := range b.Consumed {
		w.consume.BindInt64(1, k)
		if err := execute(w.consume); err != nil {
			return fmt.Errorf("message %d: %w", k, err)
		}
		if w.conn.Changes() == 0 && !gone[k] {
			return fmt.Errorf("message %d was consumed but is not stored", k)
		}
	}
	for i := range b.Payloads {
		p := &b.Payloads[i]
		w.payload.BindBytes(1, p.Hash[:])
		w.payload.BindBytes(2, p.Data)
		if err := execute(w.payload); err != nil {
			return fmt.Errorf("payload %s: %w", p.Hash, err)
		}
	}
	for i := range b.Refs {
		w.ref.BindInt64(1, b.Refs[i].Num)
		w.ref.BindBytes(2, b.Refs[i].Hash[:])
		if err := execute(w.ref); err != nil {
			return fmt.Errorf("reference of instance %d to payload %s: %w", b.Refs[i].Num, b.Refs[i].Hash, err)
		}
	}
	if len(b.Released) > 0 {
		if err := w.release(b.Released); err != nil {
			return err
		}
	}
	for i := range b.Effects {
		if err := w.effectRow(&b.Effects[i].Effect); err != nil {
			return fmt.Errorf("effect %d of instance %d: %w", b.Effects[i].ID, b.Effects[i].Num, err)
		}
	}
	for i := range b.Progress {
		if err := w.progressRow(&b.Progress[i]); err != nil {
			return fmt.Errorf("progress of call %d of instance %d: %w", b.Progress[i].Call, b.Progress[i].Num, err)
		}
	}
	return nil
}

// release takes references back. Somebody asked for that, so the bytes of what goes are
// overwritten and do not linger in the file's free space. Sweeps spare themselves that:
// it would write as much as it frees.
func (w *writer) release(refs []store.PayloadRef) (err error) {
	if err := run(w.conn, "pragma secure_delete = on"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run(w.conn, "pragma secure_delete = off")) }()
	for i := range refs {
		if err := w.purge.release(refs[i].Num, refs[i].Hash[:]); err != nil {
			return fmt.Errorf("release of payload %s by instance %d: %w", refs[i].Hash, refs[i].Num, err)
		}
	}
	return nil
}

// fence compares the batch's epoch with the one on disk: a process whose lock
// was lost without its knowledge (a lock file removed by hand, a network file
// system) must not write.
func (w *writer) fence(epoch uint64) error {
	row, err := w.epoch.Step()
	if err != nil {
		return err
	}
	var now uint64
	if row {
		now = uint64(w.epoch.ColumnInt64(0))
	}
	if err := w.epoch.Reset(); err != nil {
		return err
	}
	if now != epoch {
		return fmt.Errorf("%w: it is of epoch %d, the batch of %d", store.ErrFenced, now, epoch)
	}
	return nil
}

func (w *writer) instance(r *store.InstanceRow) error {
	runnable := r.Pending > 0
	st := w.insert
	if !r.New {
		var err error
		if st, err = w.updateFor(r.Num, runnable, nano(r.Due)); err != nil {
			return err
		}
	}
	st.BindInt64(1, r.Num)
	st.BindText(2, r.Version)
	st.BindText(3, r.Execution)
	st.BindInt64(4, int64(r.Generation))
	st.BindInt64(5, int64(r.Status))
	bindTime(st, 6, r.Updated)
	bindTime(st, 7, r.Completed)
	st.BindInt64(8, int64(r.Pending))
	st.BindInt64(9, r.First)
	st.BindInt64(10, r.Last)
	st.BindInt64(11, int64(r.Events))
	st.BindText(12, r.LockedBy)
	bindNullable(st, 13, r.CustomStatus)
	bindNullable(st, 14, r.State)
	if r.New || st == w.updateRunnable || st == w.updateBoth {
		st.BindBool(15, runnable)
	}
	if r.New || st == w.updateDue || st == w.updateBoth {
		bindTime(st, 16, r.Due)
	}
	if r.New {
		tags, err := tagsText(r.Tags)
		if err != nil {
			return err
		}
		st.BindText(17, r.ID)
		st.BindText(18, r.Name)
		st.BindText(19, r.Parent)
		st.BindText(20, r.Origin)
		bindTime(st, 21, r.Created)
		bindNullable(st, 22, nil)
		if tags != "" {
			st.BindText(22, tags)
		}
	}
	return execute(st)
}

// updateFor picks the statement that sets no more indexed columns than change.
func (w *writer) updateFor(num int64, runnable bool, due int64) (*sqlite.Stmt, error) {
	w.marks.BindInt64(1, num)
	row, err := w.marks.Step()
	if err != nil {
		return nil, err
	}
	if !row {
		return nil, errors.Join(errNoRow, w.marks.Reset())
	}
	r, d := w.marks.ColumnBool(0) != runnable, w.marks.ColumnInt64(1) != due
	if err := w.marks.Reset(); err != nil {
		return nil, err
	}
	switch {
	case r && d:
		return w.updateBoth, nil
	case r:
		return w.updateRunnable, nil
	case d:
		return w.updateDue, nil
	}
	return w.update, nil
}

func (w *writer) execution(e *store.Execution) error {
	st := w.ended
	st.BindInt64(1, e.Num)
	st.BindInt64(2, int64(e.Generation))
	st.BindText(3, e.ID)
	st.BindInt64(4, e.First)
	st.BindInt64(5, e.Last)
	st.BindInt64(6, int64(e.Events))
	bindTime(st, 7, e.Started)
	return execute(st)
}

func (w *writer) effectRow(e *store.Effect) error {
	st := w.effect
	st.BindInt64(1, e.Num)
	st.BindText(2, e.Execution)
	st.BindInt64(3, int64(e.ID))
	st.BindText(4, e.Activity)
	st.BindText(5, e.IdempotencyKey)
	bindTime(st, 6, e.Intent)
	bindTime(st, 7, e.Receipt)
	st.BindBool(8, e.Failed)
	return execute(st)
}

// tagsText gives tags as a JSON object, "" for none.
func tagsText(tags map[string]string) (string, error) {
	if len(tags) == 0 {
		return "", nil
	}
	b, err := json.Marshal(tags)
	return string(b), err
}
