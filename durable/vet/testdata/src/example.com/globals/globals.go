// Package globals reads and writes variables that outlive an orchestration. // want package:"changes example.com/settings.ByOthers"
package globals

import (
	"encoding/json"
	"errors"

	"example.com/settings"
	"github.com/agentrun-dev/agentrun/durable"
)

var (
	limit   = 3
	fixed   = 3
	early   int
	table   = map[string]int{"a": 1}
	counts  = map[string]int{}
	parsed  []string
	count   int
	errDone = errors.New("done")
	config  struct{ a, b int }
	shared  = &struct{ n int }{}
	names   [3]string
)

func init() { early = 4 }

func setLimit(n int) { limit = n }

func parse(b []byte) error { return json.Unmarshal(b, &parsed) }

func pass() { look(&config) }

func look(*struct{ a, b int }) {}

func change() { settings.ByOthers = 4 }

func order(ctx *durable.Context) error {
	_ = limit // want `^global: order uses the variable limit, which is changed at globals/globals.go:\d+: pass it in the input`
	_ = fixed + early + table["a"]
	_ = parsed      // want `^global: order uses the variable parsed`
	count++         // want `^global: order uses the variable count, which is changed at globals/globals.go:\d+: `
	counts["a"] = 1 // want `^global: order uses the variable counts`
	shared.n = 4    // want `^global: order uses the variable shared`
	names[1] = "x"  // want `^global: order uses the variable names`
	_ = config.a
	_ = settings.Fixed
	_ = settings.Limit    // want `^global: order uses the variable settings.Limit, which is changed at settings/settings.go:10`
	_ = settings.ByOthers // want `^global: order uses the variable settings.ByOthers, which is changed at globals/globals.go`
	settings.Set(4)       // want `^global: order calls settings.Set, which uses the variable settings.Limit, which is changed at settings/settings.go:10 \(settings/settings.go:10\): `
	return errDone
}

func around() {
	seen, fine, last := 0, 1, new(int)
	list := map[string]int{}
	durable.NewOrchestration("around", func(ctx *durable.Context, in int) (int, error) {
		own := fine
		own++
		seen++                      // want `^global: orchestration "around" changes the variable seen from around it`
		list["x"] = own             // want `^global: orchestration "around" changes the variable list`
		delete(list, "x")           // want `^global: orchestration "around" changes the variable list`
		f := func() { *last = own } // want `^global: orchestration "around" changes the variable last`
		f()
		return own, nil
	})
}
