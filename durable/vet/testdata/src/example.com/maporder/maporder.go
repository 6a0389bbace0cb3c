// Package maporder ranges over maps.
package maporder

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
)

type item struct{ n int }

func (i item) total() int  { return i.n }
func (i *item) touch() int { i.n++; return i.n }

var act = durable.NewActivity[string, int]("act", nil)

func matters(ctx *durable.Context, m map[string]int, items map[string]*item) (first string, err error) {
	for k := range m { // want `^maporder: matters ranges over a map: range over slices.Sorted\(maps.Keys\(m\)\)`
		act.Call(ctx, k)
	}
	var list []string
	for k := range m { // want `^maporder: `
		list = append(list, k)
	}
	var early []string
	slices.Sort(early)
	for k := range m { // want `^maporder: `
		early = append(early, k)
	}
	var text string
	for k := range m { // want `^maporder: `
		text += k
	}
	var sum float64
	for _, v := range m { // want `^maporder: `
		sum += float64(v)
	}
	for k := range m { // want `^maporder: `
		first = k
	}
	swapped := map[int]string{}
	for k, v := range m { // want `^maporder: `
		swapped[v] = k
	}
	for k := range m { // want `^maporder: `
		if k != "" {
			return k, nil
		}
	}
	n := 0
	for _, v := range m { // want `^maporder: `
		n += v
		if n > 3 {
			break
		}
	}
	for _, i := range items { // want `^maporder: `
		n += i.touch()
	}
	state := 0
	for _, v := range m { // want `^maporder: `
		if v > 3 {
			state = 1
		} else {
			state = 2
		}
	}
	var k string
	for k = range m { // want `^maporder: `
	}
	for k := range maps.Keys(m) { // want `^maporder: matters ranges over maps.Keys`
		act.Call(ctx, k)
	}
	_ = slices.Collect(maps.Values(m)) // want `^maporder: matters calls maps.Values`
	_ = reflect.ValueOf(m).MapKeys()   // want `^maporder: matters calls reflect.Value.MapKeys`
	helper(m)                          // want `^maporder: matters calls helper, which ranges over a map \(maporder/maporder.go:\d+\)`
	anyMap(m)                          // want `^maporder: matters calls anyMap, which ranges over a map`
	func() {
		var inner []string
		for k := range m { // want `^maporder: `
			inner = append(inner, k)
		}
	}()
	_, _, _, _, _ = early, list, text, sum, state
	return k, err
}

func helper(m map[string]int) {
	for k := range m {
		fmt.Sprintln(k)
	}
}

func anyMap[M ~map[K]V, K comparable, V any](m M) (k K) {
	for k = range m {
	}
	return k
}

func doesNot(ctx *durable.Context, m map[string]int, items map[string]item) bool {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)

	var pairs []item
	for _, v := range m {
		if v > 3 {
			pairs = append(pairs, item{v})
		}
	}
	sort.Slice(pairs, func(i, j int) bool { return pairs[i].n < pairs[j].n })

	other, set := map[string]int{}, map[int]struct{}{}
	for k, v := range m {
		other[k] = v + len(k)
		set[v] = struct{}{}
		delete(items, k)
	}
	sum, most, n := 0, 0, 0
	found := false
	for k, v := range m {
		sum += v
		n++
		most = max(most, v)
		if strings.HasPrefix(k, "x") && v > 1 {
			found = true
			continue
		}
		local := v * 2
		local++
		switch {
		case local > 3:
			n += 2
		}
	}
	for _, i := range items {
		sum += i.total()
	}
	for range m {
		act.Call(ctx, "the same")
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		act.Call(ctx, k)
	}
	values := slices.Collect(maps.Values(m))
	slices.Sort(values)
	_ = maps.Collect(maps.All(m))
	for k := range maps.Keys(m) {
		delete(other, k)
	}
	if found {
		for _, v := range m {
			if v < 0 {
				return true
			}
		}
	}
	for k, v := range m {
		for i := range v {
			sum += i
		}
		other[k] = max(sum0(v), 3)
	}
	return false
}

func sum0(n int) int { return n }

func fails(ctx *durable.Context, m map[string]int) error {
	for k, v := range m { // want `^maporder: `
		if v < 0 {
			return errors.New(k)
		}
	}
	return nil
}
