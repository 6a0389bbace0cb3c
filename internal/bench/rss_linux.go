package bench

import (
	"bufio"
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// resident gives the memory of this process in KiB, without what the collector
// could free.
func resident() float64 {
	debug.FreeOSMemory()
	return status("VmRSS:")
}

// resetPeak makes peak begin anew, where the kernel lets us.
func resetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peak gives the most memory that this process had since resetPeak, in KiB.
func peak() float64 { return status("VmHWM:") }

func status(key string) float64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), key); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				return 0
			}
			return kib
		}
	}
	return 0
}
