// Package durabletest proves that orchestrations survive what they will meet.
//
// # Crashes
//
// [CrashEverywhere] runs a program once undisturbed, and then again for each moment
// at which a process could end: after each commit, before each activity starts,
// and after it has ended but before anybody knows. Each time everything in memory
// is lost, what was committed is opened again, and the program must come to the
// same result without asking for an answer that it already has.
//
//	func TestOrder(t *testing.T) {
//		defs := []durable.Definition{order, charge, ship}
//		durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) (Receipt, error) {
//			return order.Run(ctx, env.Client(), Order{Item: "lamp"})
//		})
//	}
//
// # Old histories
//
// [Replay] runs today's code through what an instance did, and names the first
// event at which it would do something else. Keep histories of released versions
// and replay them in a test: a difference there is a run that a deploy would break.
//
// # Virtual time
//
// The memory store and the engine need nothing but goroutines and timers of the
// Go runtime, so the clock of [testing/synctest] drives them: inside the bubble a
// timer of three days fires at once, when everything waits for it.
//
//	func TestReminder(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			rt, err := durable.Open(t.Context(), "memory:", remind)
//			if err != nil {
//				t.Fatal(err)
//			}
//			defer rt.Close() // the bubble ends when every goroutine in it has
//			got, err := remind.Run(t.Context(), rt.Client(), 72*time.Hour)
//			…
//		})
//	}
//
// CrashEverywhere works in a bubble too. A runtime on SQLite does not: reading a
// file is not something that virtual time can wait for.
package durabletest
