// Package allowed says why it breaks rules.
package allowed

import (
	"os"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

func order(ctx *durable.Context) {
	_ = time.Now() //durable:allow time it is thrown away
	_ = time.Now() // want `^time: `

	//durable:allow time it is thrown away
	_ = time.Now()

	//durable:allow time it is thrown away
	//durable:allow env as is this
	_, _ = time.Now(), os.Getenv("X")

	//durable:allow env it is another rule // want `^allow: nothing here breaks the rule env; remove the line`
	_ = time.Now() // want `^time: `

	_ = quiet()
	_ = stamped()
	_ = both() // want `^env: order calls both, which calls os.Getenv`
	_ = cut()
	_ = loud() //durable:allow time only its side matters
}

func quiet() time.Time {
	return time.Now() //durable:allow time goes into a log line
}

// stamped is deterministic as far as callers go.
//
//durable:allow time it measures itself
func stamped() time.Time {
	begun := time.Now()
	_ = time.Since(begun)
	return begun
}

// both breaks another rule, too.
//
//durable:allow time it measures itself
func both() string {
	_ = time.Now()
	return os.Getenv("X")
}

func cut() time.Time {
	return loud() //durable:allow time the caller rounds it to the century
}

func loud() time.Time { return time.Now() }

// tidy breaks nothing.
//
//durable:allow time not any more // want `^allow: nothing here breaks the rule time`
func tidy() {}

func wrong() {
	//durable:allow // want `^allow: there is no rule //`
	//durable:allow clock it is late // want `^allow: there is no rule clock; the rules are time, sleep, `
	/* want `^allow: say why: //durable:allow time <reason>` */ //durable:allow time
	/* want `^allow: name a rule and a reason: //durable:allow <rule> <reason>` */ //durable:allow
	//durable:allowance is another word
}
