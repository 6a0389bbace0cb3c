package tested

import (
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

func order(ctx *durable.Context) int {
	_ = time.Now() // want `^time: order calls time.Now`
	return Limit
}

func set() { Limit = 4 }
