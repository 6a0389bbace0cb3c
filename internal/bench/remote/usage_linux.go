package remote

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc, the same on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// usageOf reads what a process has used.
func usageOf(pid int) (usage, error) {
	name := "/proc/" + strconv.Itoa(pid) + "/stat"
	b, err := os.ReadFile(name)
	if err != nil {
		return usage{}, fmt.Errorf("the server's process %d: %w", pid, err)
	}
	// The second field is the program's name in parentheses, with whatever is in it.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 22 {
		return usage{}, fmt.Errorf("the server's process %d: %s is not as expected", pid, name)
	}
	var v [3]int64
	for i, at := range [...]int{11, 12, 21} { // utime, stime, rss in pages
		if v[i], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return usage{}, fmt.Errorf("the server's process %d: %s: %w", pid, name, err)
		}
	}
	return usage{cpu: time.Duration(v[0]+v[1]) * tick, rss: float64(v[2]) * float64(os.Getpagesize()) / 1024}, nil
}
