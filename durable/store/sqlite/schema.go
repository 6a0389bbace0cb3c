package sqlite

import (
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/agentrun-dev/agentrun/durable/store"
)

const (
	// applicationID marks our files for file(1) and for us: "agrn".
	applicationID = 0x6167726e
	// format is the version of the schema that this package reads and writes. A
	// higher one in a file is refused, since it may mean anything.
	format = 2
	// pageSize makes a row of 2 KiB cost about its own size on disk (with 4 KiB
	// pages it costs twice as much).
	pageSize = 16 << 10
)

// schema is format 2. Times are nanoseconds since 1970 UTC, null for none.
//
// The order of the columns matters: what is read without the rest, and what
// changes with every turn, stands before values that may spill to other pages.
// Everything grows at its end except by id, hash and due time.
//
// "runnable" repeats pending > 0 so that the partial index is touched when an
// instance starts or stops to wait for activities, and not whenever their
// number changes.
//
// Only children are in the index of parents, which finds those of one instance.
//
// "purged" has the instances that are gone except for what is swept (purge.go):
// last is the end of the history that goes next.
//
// Payloads have a rowid: rows of 1-16 KiB are appended and lie whole in the
// pages of the table, and only the hash lands in the middle of an index.
// Clustered by hash, 40 MiB of them took 1.1 to 2.3 times the space and 2 to 6
// times the time to write.
const schema = `
create table meta(
	one integer primary key check(one = 1),
	epoch integer not null
) strict;
insert into meta values(1, 0);

create table instance(
	num integer primary key,
	id text not null unique,
	name text not null,
	parent text not null,
	origin text not null,
	created integer,
	version text not null,
	execution text not null,
	generation integer not null,
	status integer not null,
	updated integer,
	completed integer,
	pending integer not null,
	runnable integer not null,
	due integer,
	first integer not null,
	last integer not null,
	events integer not null,
	lockedby text not null,
	tags text,
	custom blob,
	state blob
) strict;
create index instance_runnable on instance(num) where runnable = 1;
create index instance_due on instance(due, num) where due is not null;
create index instance_parent on instance(parent, num) where parent <> '';

create table history(
	k integer primary key,
	prev integer not null,
	data blob not null
) strict;

create table execution(
	num integer not null,
	generation integer not null,
	id text not null,
	first integer not null,
	last integer not null,
	events integer not null,
	started integer,
	primary key(num, generation)
) strict, without rowid;

create table inbox(
	k integer primary key,
	dst text not null,
	data blob not null
) strict;
create index inbox_dst on inbox(dst);

create table payload(
	hash blob not null unique,
	data blob not null
) strict;

create table payload_ref(
	num integer not null,
	hash blob not null,
	primary key(num, hash)
) strict, without rowid;
create index payload_ref_hash on payload_ref(hash);

create table effect(
	num integer not null,
	execution text not null,
	id integer not null,
	activity text not null,
	key text not null,
	intent integer,
	receipt integer,
	failed integer not null,
	primary key(num, execution, id)
) strict, without rowid;

create table purged(
	num integer primary key,
	last integer not null
) strict;

-- It holds little: rows of calls that are not over and have told how far they are.
create table progress(
	num integer not null,
	execution text not null,
	call integer not null,
	at integer,
	data blob,
	primary key(num, execution, call)
) strict, without rowid;
`

// upgrades lead from each earlier format to the next one; upgrades[0] is from
// format 1 to 2, which brought purge and progress.
var upgrades = [format - 1]string{`
create index instance_parent on instance(parent, num) where parent <> '';
create index payload_ref_hash on payload_ref(hash);
create table purged(
	num integer primary key,
	last integer not null
) strict;
create table progress(
	num integer not null,
	execution text not null,
	call integer not null,
	at integer,
	data blob,
	primary key(num, execution, call)
) strict, without rowid;
`}

// identify finds out what a database is before anything in it is changed. It
// gives its format, 0 for an empty one.
func identify(c *sqlite.Conn, name string) (int64, error) {
	damaged := func(err error) error {
		return &store.OpenError{Store: name, Problem: "is not an agentrun database or is damaged", Err: err,
			Advice: "restore a backup or choose another --store"}
	}
	app, err := number(c, "pragma application_id")
	if err != nil {
		if code := sqlite.ErrCode(err).ToPrimary(); code == sqlite.ResultNotADB || code == sqlite.ResultCorrupt {
			return 0, damaged(plain(err))
		}
		return 0, &store.OpenError{Store: name, Problem: "cannot be read", Err: plain(err),
			Advice: "check its permissions or choose another --store"}
	}
	version, err := number(c, "pragma user_version")
	if err != nil {
		return 0, damaged(plain(err))
	}
	tables, err := number(c, "select count(*) from sqlite_schema")
	if err != nil {
		return 0, damaged(plain(err))
	}
	switch {
	case app == 0 && version == 0 && tables == 0:
		return 0, nil
	case app != applicationID:
		return 0, damaged(fmt.Errorf("it is the database of another program"))
	case version > format:
		return 0, &store.OpenError{Store: name,
			Problem: fmt.Sprintf("was written by a newer agentrun (format %d, this one reads up to %d)", version, format),
			Advice:  "update this program or choose another --store"}
	case version < 1:
		return 0, damaged(fmt.Errorf("it has no format number"))
	}
	return version, nil
}

// begin creates the tables of an empty database or brings an older one to this
// format, prepares the statements that need them and counts up the epoch, in one transaction: a crash leaves an empty
// database or a complete one, and one in which something is missing stays as it
// was.
func begin(c *sqlite.Conn, found int64) (w *writer, epoch uint64, err error) {
	end, err := sqlitex.ImmediateTransaction(c)
	if err != nil {
		return nil, 0, err
	}
	defer end(&err)
	script := ""
	switch {
	case found == 0:
		script = fmt.Sprintf("%s pragma application_id = %d;", schema, applicationID)
	case found < format:
		script = strings.Join(upgrades[found-1:], "")
	}
	if script != "" {
		script += fmt.Sprintf("pragma user_version = %d;", format)
		if err := sqlitex.ExecuteScript(c, script, nil); err != nil {
			return nil, 0, err
		}
	}
	if w, err = newWriter(c); err != nil {
		return nil, 0, err
	}
	n, err := number(c, "update meta set epoch = epoch + 1 where one = 1 returning epoch")
	if err != nil {
		return nil, 0, err
	}
	if n <= 0 {
		return nil, 0, fmt.Errorf("table meta has no row")
	}
	return w, uint64(n), nil
}

// number runs a statement once and gives the first column of its last row.
func number(c *sqlite.Conn, query string) (n int64, err error) {
	err = sqlitex.ExecuteTransient(c, query, &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		n = st.ColumnInt64(0)
		return nil
	}})
	return n, err
}

// run runs a statement once for its effect.
func run(c *sqlite.Conn, query string) error {
	return sqlitex.ExecuteTransient(c, query, nil)
}
