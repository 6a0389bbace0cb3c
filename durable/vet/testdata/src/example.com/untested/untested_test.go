// Package untested is in a test file, where nothing is reported.
package untested

import (
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

func order(ctx *durable.Context) {
	_ = time.Now()
	//durable:allow time
	//durable:allow sleep nothing sleeps
}
