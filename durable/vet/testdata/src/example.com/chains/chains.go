// Package chains breaks rules far away.
package chains

import (
	"os"
	"slices"

	"example.com/rates"
	"github.com/agentrun-dev/agentrun/durable"
)

func order(ctx *durable.Context, items []int, src rates.Source, own hidden) {
	_ = price()       // want `^time: order calls price, which calls rates.Quote, which calls rates.today, which calls time.Now \(rates/rates.go:19\): use ctx.Now\(\)`
	_ = rates.Now()   // want `^time: order calls rates.Now, which uses time.Now \(rates/rates.go:22\)`
	_ = rates.Each(3) // want `^time: order calls rates.Each, which calls rates.Quote, which calls rates.today`
	_ = src.Rate()    // want `^env: order calls rates.Source.Rate, which may be rates.Live.Rate, which calls os.Getenv`
	_ = rates.Fixed(1).Rate()
	slices.SortFunc(items, byMood)                                // want `^env: order uses byMood, which calls os.Getenv`
	_ = slices.IndexFunc(items, func(int) bool { return mood() }) // want `^env: order calls mood, which calls os.Getenv`
	own.look()                                                    // want `^env: order calls hidden.look, which may be eyes.look, which calls mood, which calls os.Getenv`
	child(ctx)
	rates.Step(ctx)
	even(3)
	fallback() // want `^env: order calls fallback, which calls mood`
}

// child answers for itself.
func child(ctx *durable.Context) {
	_ = mood() // want `^env: child calls mood, which calls os.Getenv \(chains/chains.go:\d+\): pass it in the input`
}

func price() int { return rates.Quote() }

func byMood(a, b int) int {
	if os.Getenv("X") == "" {
		return b - a
	}
	return a - b
}

func mood() bool { return os.Getenv("MOOD") == "good" }

type hidden interface{ look() }

type eyes struct{}

func (eyes) look() { mood() }

// even and odd break nothing, in a circle.
func even(n int) bool { return n == 0 || odd(n-1) }
func odd(n int) bool  { return n != 0 && even(n-1) }

var fallback = func() bool { return mood() }
