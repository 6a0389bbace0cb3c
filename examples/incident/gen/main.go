// Command gen writes the files that the incident example investigates: the
// logs, metrics and deploy records of a small shop on one evening on which a
// deploy went wrong. Run it from the module's root:
//
//	go run ./examples/incident/gen
//
// The files are committed. The program draws from a generator with a fixed
// seed and computes with integers only (floating point may round differently
// from one processor to the next), so it writes the same bytes everywhere; a
// test compares them with the committed ones.
//
// What happened is in story.go; the other files tell it as a log, as a time
// series and as a deploy record.
package main

import (
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// seed makes the evening. Another number gives another evening with the same
// story; the committed files come from this one.
const seed = 1942

func main() {
	out := flag.String("out", filepath.Join("examples", "incident", "data"), "`folder` to write into")
	flag.Parse()
	if err := generate(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate writes every file of the evening below dir. Files of an earlier
// run are overwritten; files that it does not know stay.
func generate(dir string) error {
	files := make(map[string][]byte)
	writeLogs(files)
	writeMetrics(files)
	writeDeploys(files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// newRand returns a generator of its own for a part of the data, so that a
// change in one part leaves the bytes of the others alone.
func newRand(part string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(part))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// noise returns a number around zero, mostly within ±amplitude and never
// beyond twice that: the sum of a few uniform draws, which looks bell-shaped.
func noise(r *rand.Rand, amplitude int) int {
	sum := 0
	for range 4 {
		sum += r.IntN(2*amplitude+1) - amplitude
	}
	return sum / 2
}
