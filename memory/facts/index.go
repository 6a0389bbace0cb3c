package facts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// index finds facts. It holds nothing that the entities do not have: it is brought up to
// date by each search, and made anew if it is lost, damaged or of another format.
type index struct {
	mu   sync.Mutex
	conn *sqlite.Conn
}

// format is the number of the tables' form. One of another number is made anew.
const format = 1

const schema = `
drop table if exists scope; drop table if exists fact; drop table if exists words; drop table if exists vector;
create table scope(n integer primary key, name text not null unique, born integer not null, version integer not null, sum integer not null);
create table fact(n integer primary key, scope integer not null, id text not null, fact text not null, at integer not null, unique(scope, id));
create virtual table words using fts5(text, tags, tokenize = 'porter unicode61 remove_diacritics 2');
insert into words(words, rank) values('secure-delete', 1);
create table vector(n integer primary key, model text not null, data blob not null);
pragma user_version = 1;
`

// busyTimeout is how long a process waits for another one that writes the index.
const busyTimeout = 10 * time.Second

func openIndex(path string) (*index, error) {
	if path == "" {
		path = ":memory:"
	}
	conn, err := openConn(path)
	if code := sqlite.ErrCode(err).ToPrimary(); path != ":memory:" && (code == sqlite.ResultNotADB || code == sqlite.ResultCorrupt) {
		for _, suffix := range []string{"", "-wal", "-shm"} { // it can be made again
			if rerr := os.Remove(path + suffix); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
				return nil, fmt.Errorf("facts: the index is damaged and cannot be removed: %w", rerr)
			}
		}
		conn, err = openConn(path)
	}
	if err != nil {
		return nil, fmt.Errorf("facts: index %s: %w", path, err)
	}
	return &index{conn: conn}, nil
}

func openConn(path string) (_ *sqlite.Conn, err error) {
	if path != ":memory:" {
		// SQLite would let everybody read what is known about people. Its other files get the
		// permissions of this one. One that is there keeps its own.
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err == nil {
			err = f.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
	}()
	conn.SetBusyTimeout(busyTimeout)
	for _, q := range []string{"pragma journal_mode = wal", "pragma synchronous = normal", "pragma secure_delete = on"} {
		if err := sqlitex.ExecuteTransient(conn, q, nil); err != nil {
			return nil, err
		}
	}
	end, err := sqlitex.ImmediateTransaction(conn)
	if err != nil {
		return nil, err
	}
	defer end(&err)
	have := -1
	err = sqlitex.ExecuteTransient(conn, "pragma user_version", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		have = st.ColumnInt(0)
		return nil
	}})
	if err != nil || have == format {
		return conn, err
	}
	for q := range strings.SplitSeq(strings.TrimSpace(schema), ";") {
		if q = strings.TrimSpace(q); q != "" {
			if err = sqlitex.ExecuteTransient(conn, q, nil); err != nil {
				return nil, err
			}
		}
	}
	return conn, nil
}

func (x *index) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn == nil {
		return nil
	}
	err := x.conn.Close()
	x.conn = nil
	return err
}

var errClosed = errors.New("facts: the memory is closed")

// transact runs f as one transaction, beside those of other processes.
func (x *index) transact(ctx context.Context, f func(c *sqlite.Conn) error) (err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.conn == nil {
		return errClosed
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	x.conn.SetInterrupt(ctx.Done())
	defer x.conn.SetInterrupt(nil)
	end, err := sqlitex.ImmediateTransaction(x.conn)
	if err != nil {
		return fmt.Errorf("facts: index: %w", err)
	}
	defer end(&err)
	err = f(x.conn)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil: // which interrupts what runs
		return context.Cause(ctx)
	}
	return fmt.Errorf("facts: index: %w", err)
}

// moment is how far a scope's facts are. The sum is of what they are: a hub that was set
// back may come to the same version by another way.
type moment struct{ born, version, sum int64 }

func (s *State) moment() moment {
	if s.Version == 0 {
		return moment{}
	}
	h := fnv.New64a()
	for _, f := range s.Facts {
		fmt.Fprintf(h, "%s\n", factKey(f.ID, f.At.UnixNano()))
	}
	return moment{s.Born.UnixNano(), s.Version, int64(h.Sum64())}
}

func (m moment) before(x moment) bool {
	return m.born < x.born || m.born == x.born && m.version < x.version
}

// scopeOf gives the number of a scope, and how far the index is with it.
func scopeOf(c *sqlite.Conn, name Scope) (n int64, at moment, err error) {
	err = sqlitex.Execute(c, "select n, born, version, sum from scope where name = ?1", &sqlitex.ExecOptions{
		Args: []any{string(name)},
		ResultFunc: func(st *sqlite.Stmt) error {
			n, at = st.ColumnInt64(0), moment{st.ColumnInt64(1), st.ColumnInt64(2), st.ColumnInt64(3)}
			return nil
		},
	})
	return n, at, err
}

// update makes the index agree with a state, unless the index is ahead of it: then it gives
// what the index has, and with force takes that back. n is the scope's number, 0 if it never
// had a fact.
func update(c *sqlite.Conn, name Scope, s *State, force bool) (n int64, ahead moment, err error) {
	n, at, err := scopeOf(c, name)
	now := s.moment()
	switch {
	case err != nil:
		return 0, moment{}, err
	case at == now: // also where there is nothing, neither here nor there
		return n, moment{}, nil
	case now.before(at) && !force:
		return n, at, nil
	case n == 0:
		if err := exec(c, "insert into scope(name, born, version, sum) values(?1, 0, 0, 0)", string(name)); err != nil {
			return 0, moment{}, err
		}
		n = c.LastInsertRowID()
	}
	if err := replace(c, n, s); err != nil {
		return 0, moment{}, err
	}
	return n, moment{}, exec(c, "update scope set born = ?2, version = ?3, sum = ?4 where n = ?1", n, now.born, now.version, now.sum)
}

// replace removes and adds what differs. A fact does not change while its id stays, but
// one of another time may have the same id.
func replace(c *sqlite.Conn, scope int64, s *State) error {
	have := map[string]int64{}
	err := sqlitex.Execute(c, "select n, id, at from fact where scope = ?1", &sqlitex.ExecOptions{
		Args: []any{scope},
		ResultFunc: func(st *sqlite.Stmt) error {
			have[factKey(st.ColumnText(1), st.ColumnInt64(2))] = st.ColumnInt64(0)
			return nil
		},
	})
	if err != nil {
		return err
	}
	var add []Fact
	for _, f := range s.Facts {
		key := factKey(f.ID, f.At.UnixNano())
		if _, ok := have[key]; ok {
			delete(have, key)
		} else {
			add = append(add, f)
		}
	}
	for _, n := range have {
		for _, q := range []string{"delete from fact where n = ?1", "delete from words where rowid = ?1", "delete from vector where n = ?1"} {
			if err := exec(c, q, n); err != nil {
				return err
			}
		}
	}
	for _, f := range add {
		b, err := json.Marshal(f)
		if err != nil {
			return err
		}
		if err := exec(c, "insert into fact(scope, id, fact, at) values(?1, ?2, ?3, ?4)", scope, f.ID, string(b), f.At.UnixNano()); err != nil {
			return err
		}
		if err := exec(c, "insert into words(rowid, text, tags) values(?1, ?2, ?3)", c.LastInsertRowID(), spaced(f.Text), spaced(strings.Join(f.Tags, " "))); err != nil {
			return err
		}
	}
	return nil
}

func factKey(id string, at int64) string { return fmt.Sprint(at, " ", id) }

func exec(c *sqlite.Conn, q string, args ...any) error {
	return sqlitex.Execute(c, q, &sqlitex.ExecOptions{Args: args})
}

// spaced puts blanks around the characters of scripts that have none between words, so
// that each is a word for the index.
func spaced(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai) {
			b.WriteRune(' ')
			b.WriteRune(r)
			b.WriteRune(' ')
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// maxTerms bounds the words of a query that are looked for.
const maxTerms = 32

// match makes of what somebody asks an expression for the index: any of its words.
func match(query string) string {
	words := strings.FieldsFunc(spaced(query), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r)
	})
	if len(words) > maxTerms {
		words = words[:maxTerms]
	}
	for i, w := range words {
		words[i] = `"` + w + `"`
	}
	return strings.Join(words, " OR ")
}
