// Package durable runs functions that survive the process. An orchestration is
// ordinary Go that calls activities, waits for people and timers, and goes on where
// it was when the program is killed and started again.
//
// The smallest program has an activity, which does something, and an orchestration,
// which says in which order:
//
//	var sayHello = durable.NewActivity("sayHello", func(ctx context.Context, city string) (string, error) {
//		return "Hello " + city + "!", nil
//	})
//
//	var greetCities = durable.NewOrchestration("greetCities", func(ctx *durable.Context, cities []string) ([]string, error) {
//		first, err := sayHello.Call(ctx, cities[0])
//		if err != nil {
//			return nil, err
//		}
//		rest := durable.StartEach(ctx, cities[1:], func(city string) *durable.Task[string] { return sayHello.Start(ctx, city) })
//		others, err := durable.All(ctx, rest)
//		return append([]string{first}, others...), err
//	})
//
//	rt, err := durable.Open(ctx, "sqlite:greet.db", greetCities, sayHello)
//	defer rt.Close()
//	id, err := greetCities.Schedule(ctx, rt.Client(), []string{"Tokyo", "Oslo"})
//	greetings, err := greetCities.Wait(ctx, rt.Client(), id)
//
// Kill it after any line and start it again: [Open] goes on with everything in the
// database that can run, and no answer that was recorded is asked for again.
//
// # Definitions
//
// Activities, orchestrations and entities are values, made once and given to Open.
// Their names are what histories refer to: rename the function, keep the name.
// Inputs and results are JSON. Whatever can be called from an orchestration has
// Call, which waits, and Start, which gives a [Task].
//
// An instance whose definition the program lacks waits, without failing, for a
// program that has it. So does a call of an activity, and an operation of an entity.
// The log has a warning for each name; [ReplayOpen] lists such instances.
//
// # Orchestrations
//
// An orchestration is replayed. After a restart, or when it was put away to save
// memory, its function runs again from the start; each step that its history has is
// answered from there, until it is where it was. So it must take the same steps each
// time it sees the same history:
//
//   - Take the time, ids and random choices from [Context]: Now, NewGUID, Rand. Not from
//     package time, math/rand or the environment.
//   - Do everything that touches the world in activities: no I/O, no locks, no
//     channels, no goroutines in an orchestration.
//   - Do not range over a map where steps depend on the order, and do not keep
//     state in variables that outlive the function.
//   - Use the Context, and tasks, only in the function that was given them.
//
// A replay that finds another step than the history has fails the instance with
// type [NonDeterminism] and a message that names the event, what was recorded and
// what the code did. [Replay] finds such a difference before a deploy does, and package
// vet finds most such code before it runs: agentrun vet ./...
//
// What an orchestration leaves deferred runs also when it is put away; calls on the
// Context do nothing then.
//
// # Activities and their effects
//
// An activity may do anything, and declares what doing it a second time would mean:
//
//   - without an option it runs at least once: after the step that calls it is on
//     disk, and again if the process ends before its answer is;
//   - [Pure] changes nothing in the world, so it may run ahead of the disk;
//   - [AtMostOnce] records an intent before it starts. If the process ends before
//     the receipt is on disk, the outcome is unknown: [Reconcile] settles it, or the
//     call fails with an error for which [UnknownOutcome] is true. It is never
//     silently repeated.
//
// [Info] gives an activity its idempotency key, which is the same for each attempt
// at a call and after each crash. Hand it to whatever you call; one that recognizes
// it makes the activity [Idempotent]. A failed call is tried again by [WithRetry].
//
// Times bound an activity: [StartToClose] one attempt, [ScheduleToClose] a call with
// all its attempts, [HeartbeatTimeout] the silence of one. When one is over, the
// function's context ends and the call fails at once, see [TimeoutOf]; an AtMostOnce
// call that was running is never said to have merely timed out: its outcome is
// unknown, or what Reconcile finds. [Heartbeat] keeps how far an activity is, and
// [Progress] gives it to the next attempt, also after a crash. [MaxConcurrent] and
// [RateLimit] say how many run at once and how often they start, [WithPriority] which
// of those that wait goes first; within a priority the instances take turns.
//
// An error is stored as its type's name and message. One that code decides by is
// registered with [ErrorType] or [ErrorValue]; errors.As and errors.Is find it then
// wherever the failure goes.
//
// # Waiting
//
// [Context.Timer] and [Context.Sleep] wait on disk. [WaitForEvent] waits for what
// [Client.RaiseEvent] sends, also if it came before. [Any] takes the first of
// several, [All] takes all. Between a decision and a deadline the earlier one wins,
// also if no program ran at the time.
//
// Many events of one name are read by [Events], one after the other, and [Select]
// waits for whichever of several comes first.
//
// # Side by side
//
// What is started with Start goes on beside what follows. [Go] runs a whole function
// beside the one that calls it, as a coroutine: one of them runs at a time, until it
// waits, and they go on in the order in which they were made.
//
// # Giving up
//
// A [Context] has a scope. [Context.WithTimeout] and [Context.WithCancel] make one
// within it for some of the steps: when it is cancelled, what was started there ends
// with context.Canceled or context.DeadlineExceeded, and what lies behind is given
// up. [Context.WithoutCancel] is for clean-up. [Client.Cancel] cancels a whole
// orchestration and its children, which may clean up; [Client.Terminate] ends it
// without asking. A single task is given up by its Cancel: the losers of an [Any], for
// instance.
//
// # Children, and running for ever
//
// Calling an orchestration from another one runs it as a child: an instance of its
// own. [Context.ContinueAsNew] ends an execution and begins the next one of the same
// instance with an empty history; earlier ones stay readable, see
// [Client.Executions].
//
// # Code that changes
//
// Instances outlive builds. Definitions of one name and several versions stand side
// by side ([Version]), and an instance goes on with the one that it began with.
// [Context.Patched] changes code in the middle. [ReplayOpen] tells before a deploy
// which unfinished instances the new code would break.
//
// # Entities
//
// An entity is state with a name: it comes into being by the first operation that is
// sent to it and is gone when it has deleted itself. Its operations run one at a time,
// in the order in which they were sent; one that fails leaves no trace. From an
// orchestration it is called, from anywhere it is signalled. [Lock] gives an
// orchestration several of them for itself; what others send waits. A signal may have a
// time ([WithDeliverAt]), which is how an entity sets itself a timer.
//
// # The life of an instance
//
// A client schedules it, at once or for a time ([WithStartAt]), under an id that it may
// take over from an ended one ([WithReuse]). It is suspended and resumed, asked to
// cancel, or terminated; run again ([Client.Restart]), or sent on from its failure
// ([Client.Rewind]): what succeeded is not done again, and keys stay the same. When it
// has ended it stays until [Client.Purge] or the orchestration's own [Retain] deletes
// it.
//
// # What is durable
//
// Durable are: instances that were scheduled, events, signals and terminations, when
// the call that made them has returned; each step of an orchestration, before
// anybody outside can see it; the answers of activities, entities and children;
// timers; entity states; payloads (see [Ref]).
//
// Not durable are: what an activity did before its answer was recorded, which is
// why it declares its effect; variables, which come back by replay; log records and
// spans, which are written once and lost with the process that did not get to them;
// the rates of limits, whose buckets are full when a program starts; the last second of
// an activity's progress.
//
// # Where it is stored
//
// Open takes a URL: a SQLite file, or memory for tests. One process at a time holds
// the database; others reach its hub through it, see [Connect]. Package server serves
// the hubs of a store to other machines and other languages. [Options.Codec] encodes
// what is stored, to encrypt it for instance; [Options.Interceptors] are put around
// everything of a kind that a program does.
//
// Package durabletest has what tests need: crashes at every moment, replay of old
// histories, and virtual time.
package durable
