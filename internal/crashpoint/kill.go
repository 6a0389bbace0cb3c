//go:build crashpoints

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

var (
	mu    sync.Mutex
	count = map[string]int{}
)

// Hit kills the process if this is the point and the time that AGENTRUN_CRASH
// names.
func Hit(point string) {
	want, nth, _ := strings.Cut(os.Getenv("AGENTRUN_CRASH"), ":")
	if want != point {
		return
	}
	mu.Lock()
	count[point]++
	n := count[point]
	mu.Unlock()
	if strconv.Itoa(n) != nth {
		return
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		os.Exit(137)
	}
	select {} // until the signal arrives: nothing more is done
}
