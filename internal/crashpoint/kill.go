//go:build crashpoints

package crashpoint

import (
	"fmt"
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

// Witness appends a line to the file that AGENTRUN_WITNESS names, with one write,
// so that it is whole whenever the process dies.
func Witness(what, name, id string) {
	path := os.Getenv("AGENTRUN_WITNESS")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := fmt.Fprintf(f, "%s %s %s\n", what, name, id); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}
