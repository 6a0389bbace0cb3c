// Package vet finds code that an orchestration must not have. An orchestration is
// replayed: after a restart its function runs again and must take the same steps. What
// depends on the clock, on chance or on the machine makes a replay go another way, and
// the instance fails. This analyzer says so before it runs:
//
//	$ agentrun vet ./...
//	orders/order.go:31:11: time: order calls price, which calls rates.Quote, which calls
//	time.Now (rates/quote.go:14): use ctx.Now(), and ctx.Timer for what is due later; …
//
// It is an ordinary [golang.org/x/tools/go/analysis] Analyzer, so it runs in editors and
// linters that take these, and the agentrun command is a tool for go vet:
//
//	$ go vet -vettool=$(which agentrun) ./...
//
// # What is checked
//
// Orchestration code is every function that takes or uses a *durable.Context, since only
// an orchestration has one: the function given to NewOrchestration, as a literal, a name
// or a method value, helpers that are handed the context, methods of a struct that keeps
// it, coroutines. So are functions given to RetryPolicy.Retry. Function literals in them
// are part of them.
//
// Whatever they call is followed, through packages and modules, and reported where the
// orchestration calls it, with the chain. A function that is named without being called
// counts as called, since somebody is given it to call. Not followed are functions given
// to NewActivity, Reconcile and Operation, and those with a context.Context that are given
// to somebody else: these run outside.
//
// # The rules
//
//	time       the clock, timers, contexts with a deadline
//	sleep      time.Sleep
//	random     math/rand, crypto/rand; not a generator with a seed of one's own
//	id         packages that make unique ids
//	goroutine  go statements, errgroup
//	channel    make, send, receive, range and close
//	select     select statements
//	sync       packages sync and sync/atomic; not Once and Pool, which only save work
//	maporder   ranging over a map where the order can matter; maps.Keys, Values and All
//	io         files, network, processes, databases, and the client of durable
//	log        package log, the default logger of slog, fmt.Print
//	global     package-level variables that are changed after they were initialized, and
//	           writing to a variable from outside of the orchestration
//	env        environment, arguments, host, processors, working directory
//
// [Rules] has them with the reasons. The order of a map does not matter, and is not
// reported, where a loop does only this: write to another map under the range's key, or
// the same constant under any key; delete; add up integers; set a variable to one
// constant; take a minimum or maximum with min or max; append to a slice that is sorted
// later in the function; and this under conditions and in inner loops. What it computes on
// the way may call what works on plain values.
//
// # What is known of other code
//
// The standard library is not looked into, since all of it ends at locks and system
// calls; a table says what counts. Other modules are followed like one's own code for
// time, sleep, random, id, io and env. Their own locks, goroutines, caches and logs are
// their business.
//
// A call through an interface is followed to those methods of packages that this one
// imports, or its own, which fit and break a rule, if the interface or the method is of
// the same module: a library has types for every purpose behind an interface of its own.
// Interfaces of the standard library, such as io.Reader, and generic ones are not
// followed, nor are types of packages that this one does not know.
//
// A call of a variable that holds a function is followed if the variable is of package
// level and initialized with the function; any other is found where the function is named.
//
// A package-level variable counts as changed if it, a field or an element of it is
// assigned outside of init, or if the address of anything but a struct or an array in it
// is taken. Methods that change it are not seen, nor what tests do to it.
//
// In test files nothing is reported, since tests watch orchestrations by means that these
// must not have themselves, unless the flag -determinism.tests says so (agentrun vet
// --tests).
//
// # Allowing a line
//
// Where a rule may be broken, say so and why, on the line or above it:
//
//	//durable:allow global registered once, before any orchestration runs
//	t := tools[name]
//
// The reason is required. It is allowed for callers, too, wherever they are. In the doc
// comment of a function the line speaks for the whole function. Allow lines stack, one
// for each rule. One that allows nothing is reported, so that none outlives its cause.
//
// # Fixes
//
// Where the remedy is mechanical and the context is at hand, the finding has it, for
// editors and for agentrun vet --fix: ctx.Now() for time.Now(), ctx.Sleep for time.Sleep,
// ctx.NewGUID() for a new UUID, ctx.Logger() for the functions of slog, sorted keys for
// those of a map.
package vet
