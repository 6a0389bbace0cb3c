-- The schema of format 1, as programs wrote it before purges were.
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
pragma application_id = 1634169454;
pragma user_version = 1;
