//go:build linux || darwin

package torture

import "testing"

// TestTortureDisk gives each fault of a disk to a worker under load. When commits
// stand still, the engine tries them until the fault is gone, or it is killed; neither
// may lose or repeat anything.
func TestTortureDisk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		fate fate
		came func(f figures) bool // the fault did
	}{
		{"commits fail", fate{fault: commitsFail, killAt: -1}, func(f figures) bool { return f.Faults > 0 && f.Closes == 2 }},
		{"commits fail, then killed", fate{fault: commitsFail, killAt: 300}, func(f figures) bool { return f.Faults > 0 && f.Kills == 1 }},
		{"outcome unknown", fate{fault: commitsUnknown, killAt: -1}, func(f figures) bool { return f.Halts == 1 }},
		{"full, then lifted", fate{fault: diskFull, killAt: -1}, func(f figures) bool { return f.Sick == 1 && f.Closes == 2 }},
		{"full, then killed", fate{fault: diskFull, killAt: -1, killSick: true}, func(f figures) bool { return f.Sick == 1 && f.Kills == 1 }},
		{"file too large, then lifted", fate{fault: fileTooLarge, killAt: -1}, func(f figures) bool { return f.Sick == 1 && f.Closes == 2 }},
		{"file too large, then killed", fate{fault: fileTooLarge, killAt: -1, killSick: true}, func(f figures) bool { return f.Sick == 1 && f.Kills == 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRound(t, firstSeed(t))
			r.more(24)
			r.live(test.fate, false)
			r.finish(0)
			if r.ok() && !test.came(r.figures) {
				t.Errorf("the fault did not come:\n%v", r.figures)
			}
		})
	}
}

// TestTortureReceipt takes the room away between an effect and its receipt: the
// commit that holds the receipt is the first to fail. If room comes back, the receipt
// is written and nothing was repeated. If the process is killed instead, the effect is
// found by Reconcile, or its outcome is unknown, and it is not repeated either.
func TestTortureReceipt(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{diskFull, fileTooLarge} {
		for _, what := range []string{"receipt", "lonely"} {
			for _, killed := range []bool{false, true} {
				name := fault + ", " + what + ", then lifted"
				if killed {
					name = fault + ", " + what + ", then killed"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					r := newRound(t, firstSeed(t))
					r.scripts = map[int]script{}
					const size = 256 // KiB: more than any page that is left over
					for i := range 3 {
						r.scripts[i] = script{Name: instanceName(i), Steps: []step{{Do: "pure", N: 1}, {Do: what, N: size}, {Do: "plain", N: 2}}}
					}
					r.more(3)
					r.live(fate{fault: fault, atReceipt: true, killAt: -1, killSick: killed}, false)
					afterFirst := r.figures
					r.finish(0)
					if !r.ok() {
						return
					}
					ran := 0
					for _, c := range r.calls {
						if c.what == what {
							ran += len(c.begun)
						}
					}
					left := r.figures.Unknown + r.figures.Settled
					switch {
					case afterFirst.Sick == 0 || killed != (afterFirst.Kills == 1):
						t.Errorf("no receipt was without room:\n%v", afterFirst)
					case ran > 3 || ran < 3 && !(killed && what == "lonely"): // killed before it began: unknown as well
						t.Errorf("3 effects were done %d times", ran)
					case killed != (left > 0) || killed && what == "receipt" != (r.figures.Settled > 0):
						t.Errorf("%d outcomes are unknown, and %d were settled", r.figures.Unknown, r.figures.Settled)
					}
				})
			}
		}
	}
}
