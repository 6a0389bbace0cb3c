package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// The settings of durable/store/sqlite, without anything of its own.
const pageSize = 16 << 10

// yardstick measures what the disk and SQLite can do by themselves.
type yardstick struct {
	conn   *sqlite.Conn
	insert *sqlite.Stmt
	key    int64
	row    []byte

	file *os.File

	commits, syncs []float64 // rates, a sample each
}

// newYardstick makes its files in dir. The write-ahead log has grown bytes before
// the first sample.
func newYardstick(dir string, grown int) (y *yardstick, err error) {
	y = &yardstick{row: []byte(askPad)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("the yardstick: %w", err), y.close())
		}
	}()
	if y.conn, err = sqlite.OpenConn(filepath.Join(dir, "yardstick.db"), sqlite.OpenReadWrite|sqlite.OpenCreate); err != nil {
		return y, err
	}
	settings := []string{fmt.Sprintf("page_size = %d", pageSize), "journal_mode = wal", "synchronous = full", "wal_autocheckpoint = 0", "cache_size = -32768"}
	if runtime.GOOS == "darwin" {
		settings = append(settings, "fullfsync = on", "checkpoint_fullfsync = on")
	}
	for _, s := range settings {
		if err := sqlitex.ExecuteTransient(y.conn, "pragma "+s, nil); err != nil {
			return y, err
		}
	}
	if err := y.grow(grown); err != nil {
		return y, err
	}
	if y.insert, err = y.conn.Prepare(`insert into row(k, data) values(?1, ?2)`); err != nil {
		return y, err
	}
	if y.file, err = os.Create(filepath.Join(dir, "yardstick.bin")); err != nil {
		return y, err
	}
	if _, err = y.file.Write(make([]byte, 16<<20)); err != nil {
		return y, err
	}
	return y, y.file.Sync()
}

// grow fills the log once; what follows is written over it.
func (y *yardstick) grow(size int) error {
	script := fmt.Sprintf(`create table row(k integer primary key, data blob not null) strict;
		create table filling(data blob);
		insert into filling values(zeroblob(%d));
		drop table filling;`, size)
	return sqlitex.ExecuteScript(y.conn, script, nil)
}

// sample takes both rates once, from n commits and syncs.
func (y *yardstick) sample(n int) error {
	for range 2 { // the second finds everything copied, so that the log starts anew
		if err := sqlitex.ExecuteTransient(y.conn, "pragma wal_checkpoint(passive)", nil); err != nil {
			return fmt.Errorf("the yardstick: %w", err)
		}
	}
	began := time.Now()
	for range n {
		y.key++
		y.insert.BindInt64(1, y.key)
		y.insert.BindBytes(2, y.row)
		if _, err := y.insert.Step(); err != nil {
			return fmt.Errorf("the yardstick: %w", err)
		}
		if err := y.insert.Reset(); err != nil {
			return fmt.Errorf("the yardstick: %w", err)
		}
	}
	y.commits = append(y.commits, float64(n)/time.Since(began).Seconds())
	// What it keeps in memory is none of a workload's.
	if err := sqlitex.ExecuteTransient(y.conn, "pragma shrink_memory", nil); err != nil {
		return fmt.Errorf("the yardstick: %w", err)
	}

	began = time.Now()
	for i := range n {
		if _, err := y.file.WriteAt(y.row, int64(i)*pageSize%(16<<20)); err != nil {
			return fmt.Errorf("the yardstick: %w", err)
		}
		if err := y.file.Sync(); err != nil {
			return fmt.Errorf("the yardstick: %w", err)
		}
	}
	y.syncs = append(y.syncs, float64(n)/time.Since(began).Seconds())
	return nil
}

func (y *yardstick) close() error {
	var errs []error
	if y.insert != nil {
		errs = append(errs, y.insert.Finalize())
	}
	if y.conn != nil {
		errs = append(errs, y.conn.Close())
	}
	if y.file != nil {
		errs = append(errs, y.file.Close())
	}
	return errors.Join(errs...)
}
