//go:build linux || darwin

package torture

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// long is for how long AGENTRUN_TORTURE says to go on; zero for the short tests.
func long(t *testing.T) time.Duration {
	text := os.Getenv("AGENTRUN_TORTURE")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("AGENTRUN_TORTURE is no duration, such as 3m: %v", err)
	}
	return d
}

// firstSeed is where the seeds of a test begin.
func firstSeed(t *testing.T) uint64 {
	text := os.Getenv("AGENTRUN_TORTURE_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("AGENTRUN_TORTURE_SEED: %v", err)
	}
	return n
}

// TestTortureKill kills workers under load, on disks and with clocks that fail, until
// the time is up. Nothing that was acknowledged may be lost, nothing may be done
// twice that must not be, and in the end everything has the result that plain Go
// computes.
func TestTortureKill(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(long(t))
	var all figures
	for seed := firstSeed(t); ; seed++ {
		r := newRound(t, seed)
		lives, load := 5, 24
		if long(t) > 0 {
			lives, load = 12, 32
		}
		for range lives {
			r.more(load)
			r.live(r.fate(40*load, "", "", commitsFail, commitsUnknown, diskFull, fileTooLarge), false)
			if len(r.findings) > 0 {
				break
			}
		}
		if len(r.findings) == 0 {
			r.finish(0)
		}
		all.add(r.figures)
		if !r.ok() || time.Now().After(end) {
			break
		}
		if err := os.RemoveAll(r.dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("\n%v", all)
}
