package sqlite

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// A database of format 1 keeps all that is in it and can then do what is new.
func TestUpgradeFromFormat1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	old(t, path)
	s := open(t, path)
	for id, parent := range map[string]string{"p": "", "c": "p"} {
		in, err := s.Instance(t.Context(), id)
		if err != nil || in.Parent != parent || in.Status != history.Completed {
			t.Fatalf("%s: %+v, %v", id, in, err)
		}
	}
	page, err := s.Query(t.Context(), store.Query{Parent: "p"})
	if err != nil || len(page.Instances) != 1 || page.Instances[0].ID != "c" {
		t.Fatalf("children: %v, %v", page, err)
	}
	if b, err := s.Row(t.Context(), 7); err != nil || string(b) != "row" {
		t.Fatalf("row: %q, %v", b, err)
	}
	if err := s.Commit(t.Context(), &store.Batch{Epoch: s.epoch, Purged: []int64{1}}); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		if more, err = s.Sweep(t.Context(), s.epoch); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path) // as format 2
	for table, want := range map[string]int64{"instance": 1, "history": 0, "payload": 1, "payload_ref": 1, "purged": 0} {
		if n := count(t, s, table); n != want {
			t.Errorf("%s has %d rows, not %d", table, n, want)
		}
	}
	if got, want := shape(t, s), shape(t, open(t, filepath.Join(t.TempDir(), "new.db"))); got != want {
		t.Errorf("an upgraded database has\n%s\na new one\n%s", got, want)
	}
}

// An upgrade that fails leaves the older format whole.
func TestUpgradeIsOneTransaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	old(t, path)
	outside(t, path, "create table purged(x)") // so that the last step fails
	if s, err := Open(t.Context(), path, Options{}); err == nil {
		t.Error("it was opened", s.Close())
	}
	outside(t, path, "drop table purged")
	c, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := number(c, "pragma user_version"); n != 1 || err != nil {
		t.Errorf("format %d, %v", n, err)
	}
	if n, err := number(c, "select count(*) from sqlite_schema where name = 'instance_parent'"); n != 0 || err != nil {
		t.Errorf("%d of the new indexes are there, %v", n, err)
	}
}

// old makes a database of format 1 with a parent, its child, and a payload of
// each and of both.
func old(t *testing.T, path string) {
	t.Helper()
	schema, err := os.ReadFile("testdata/format1.sql")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := sqlitex.ExecuteScript(c, string(schema)+`
		insert into instance(num, id, name, parent, origin, version, execution, generation, status, pending, runnable, first, last, events, lockedby)
			values(1, 'p', 'n', '', '', '', 'e', 0, 1, 0, 0, 7, 7, 1, ''), (2, 'c', 'n', 'p', '', '', 'e', 0, 1, 0, 0, 0, 0, 0, '');
		insert into history values(7, 0, cast('row' as blob));
		insert into payload values(x'01', x'01'), (x'02', x'02');
		insert into payload_ref values(1, x'01'), (1, x'02'), (2, x'02');`, nil); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *Store, table string) (n int64) {
	t.Helper()
	err := s.read(context.Background(), func(c *sqlite.Conn) (err error) {
		n, err = number(c, "select count(*) from "+table)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// shape is the tables and indexes of a database.
func shape(t *testing.T, s *Store) string {
	t.Helper()
	var b bytes.Buffer
	err := s.read(context.Background(), func(c *sqlite.Conn) error {
		return each(c, `select name || ': ' || sql from sqlite_schema where sql is not null order by name`, nil, func(st *sqlite.Stmt) error {
			b.WriteString(st.ColumnText(0) + "\n")
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// BenchmarkPurge purges a run of 10,000 commits that lie between those of
// others, and says how long the longest of its transactions was.
func BenchmarkPurge(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := open(b, filepath.Join(b.TempDir(), "hub.db"))
		const n = 10_000
		for from := int64(1); from <= n; from += 100 {
			batch := store.Batch{Epoch: s.epoch}
			for k := from; k < from+100; k++ {
				batch.History = append(batch.History, store.HistoryRow{Key: 2 * k, Prev: 2 * (k - 1), Data: make([]byte, 2048)},
					store.HistoryRow{Key: 2*k + 1, Data: make([]byte, 14<<10)})
			}
			if from == 1 {
				batch.Instances = []store.InstanceRow{{Instance: &store.Instance{Num: 1, ID: "long", Last: 2 * n}, New: true}}
			}
			if err := s.Commit(b.Context(), &batch); err != nil {
				b.Fatal(err)
			}
		}
		longest := time.Duration(0)
		b.StartTimer()
		timed := func(f func()) {
			start := time.Now()
			f()
			longest = max(longest, time.Since(start))
		}
		timed(func() {
			if err := s.Commit(b.Context(), &store.Batch{Epoch: s.epoch, Purged: []int64{1}}); err != nil {
				b.Fatal(err)
			}
		})
		calls := 0
		for more := true; more; calls++ {
			timed(func() {
				var err error
				if more, err = s.Sweep(b.Context(), s.epoch); err != nil {
					b.Fatal(err)
				}
			})
		}
		b.ReportMetric(float64(longest.Microseconds())/1000, "max-ms")
		b.ReportMetric(float64(calls), "calls")
	}
}
