// Package rates is a helper in another package.
package rates

import (
	"os"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// Step answers for itself, here.
func Step(ctx *durable.Context) { // want Step:`breaks time`
	_ = time.Now() // want `^time: Step calls time.Now`
}

// Quote looks innocent.
func Quote() int { return today() } // want Quote:`breaks time`

func today() int { return time.Now().Day() }

// Now is a clock in a variable.
var Now = time.Now // want Now:`breaks time`

// Source has several kinds.
type Source interface{ Rate() int }

// Live asks the environment.
type Live struct{}

func (*Live) Rate() int { return len(os.Getenv("RATE")) } // want Rate:`breaks env`

// Fixed is what it is.
type Fixed int

func (f Fixed) Rate() int { return int(f) }

// Each calls itself, and others.
func Each(n int) int { // want Each:`breaks time`
	if n == 0 {
		return Quote()
	}
	return Each(n - 1)
}
