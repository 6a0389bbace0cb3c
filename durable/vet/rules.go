package vet

import "slices"

// Rule is one thing that an orchestration must not do.
type Rule struct {
	// Name is what findings begin with and what an allow line names.
	Name string
	// Why says what a replay would make of it.
	Why string
	// Instead says what to do, where nothing better is known of the single case.
	Instead string
	// inner is set for what code may do unnoticed as long as it keeps it to itself: a lock
	// around a cache, say. It counts within a module; what a library of another module does
	// inside is that library's business.
	inner bool
}

// The names of the rules.
const (
	timeRule      = "time"
	sleepRule     = "sleep"
	randomRule    = "random"
	idRule        = "id"
	goroutineRule = "goroutine"
	channelRule   = "channel"
	selectRule    = "select"
	syncRule      = "sync"
	mapOrderRule  = "maporder"
	ioRule        = "io"
	logRule       = "log"
	globalRule    = "global"
	envRule       = "env"
)

var rules = []Rule{
	{Name: timeRule, Why: "a replay runs later: the clock says something else",
		Instead: "use ctx.Now(), and ctx.Timer for what is due later"},
	{Name: sleepRule, Why: "it holds its thread, does not survive a restart, and waits again in each replay",
		Instead: "use ctx.Sleep"},
	{Name: randomRule, Why: "a replay draws something else",
		Instead: "use ctx.Rand(), or draw in an activity"},
	{Name: idRule, Why: "a replay makes another id",
		Instead: "use ctx.NewGUID()"},
	{Name: goroutineRule, Why: "the scheduler decides which runs first, and steps from beside the body are lost", inner: true,
		Instead: "use durable.Go, or start tasks with Start and wait for them with durable.All or durable.Any"},
	{Name: channelRule, Why: "who else is at the channel is not recorded, and waiting for it holds the engine's thread", inner: true,
		Instead: "wait for tasks, or for events with durable.WaitForEvent"},
	{Name: selectRule, Why: "of several cases that are ready it takes one at random", inner: true,
		Instead: "use durable.Any, which remembers what came first"},
	{Name: syncRule, Why: "it waits for, or shares state with, code that is not replayed", inner: true,
		Instead: "leave it out: one body runs at a time; shared state belongs into an entity"},
	{Name: mapOrderRule, Why: "the order of a map's elements is another each time", inner: true,
		Instead: "range over slices.Sorted(maps.Keys(m))"},
	{Name: ioRule, Why: "a replay does it again, and may be answered differently",
		Instead: "do it in an activity"},
	{Name: logRule, Why: "each replay writes it again", inner: true,
		Instead: "use ctx.Logger()"},
	{Name: globalRule, Why: "it outlives the body: a replay finds it changed, another process does not", inner: true,
		Instead: "pass it in the input, keep it in an entity, or read it in an activity"},
	{Name: envRule, Why: "the process or machine that replays may be another",
		Instead: "pass it in the input, or read it in an activity"},
}

// Rules lists the rules, in the order in which they are documented.
func Rules() []Rule { return slices.Clone(rules) }

func ruleNamed(name string) (Rule, bool) {
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

// isInner reports whether a rule does not count across modules.
func isInner(name string) bool {
	r, _ := ruleNamed(name)
	return r.inner
}
