package engine

import (
	"slices"
	"testing"
)

func TestCompareVersions(t *testing.T) {
	inOrder := []string{"", "0.9", "1", "1.0", "1.0.0", "1.0.1", "1.2", "1.10", "2", "10", "18446744073709551616"}
	for i, a := range inOrder {
		for j, b := range inOrder {
			c := CompareVersions(a, b)
			if i < j && c >= 0 || i == j && c != 0 || i > j && c <= 0 {
				t.Errorf("%q and %q: %d", a, b, c)
			}
		}
	}
	if CompareVersions("1.02", "1.2") != 0 || CompareVersions("Beta", "beta") != 0 || CompareVersions("alpha", "beta") >= 0 {
		t.Error("zeros, or case, count")
	}
}

func TestChooseVersion(t *testing.T) {
	for _, c := range []struct {
		match   VersionMatch
		have    []string
		version string
		want    string // "-": none
	}{
		{MatchDefault, []string{""}, "7", ""},
		{MatchDefault, []string{"", "2"}, "7", "-"},
		{MatchDefault, []string{"", "2"}, "", ""},
		{MatchDefault, []string{"2"}, "", "-"},
		{MatchDefault, []string{"1", "2"}, "2", "2"},
		{MatchStrict, []string{""}, "7", "-"},
		{MatchStrict, []string{"1", "1.0"}, "1.0", "1.0"},
		{MatchNone, []string{"2", "10", "9"}, "3", "10"},
		{MatchNone, []string{"", "1"}, "3", "1"},
		{MatchNone, []string{"2", "10"}, "2", "2"},
		{MatchCurrentOrOlder, []string{"3", "2", "10"}, "1.9", "2"},
		{MatchCurrentOrOlder, []string{"3", "2", "10"}, "9", "10"},
		{MatchCurrentOrOlder, []string{"3", "2", "10"}, "11", "-"},
		{MatchCurrentOrOlder, []string{"3"}, "", "3"},
		{MatchCurrentOrOlder, []string{""}, "1", "-"},
		{MatchNone, nil, "1", "-"},
	} {
		var v versions
		for _, have := range c.have {
			v = append(v, &Orchestration{Name: "o", Version: have})
		}
		for range 2 {
			got := "-"
			if o := v.choose(c.match, c.version); o != nil {
				got = o.Version
			}
			if got != c.want {
				t.Errorf("match %d, definitions %q, instance %q: %q, not %q", c.match, c.have, c.version, got, c.want)
			}
			slices.Reverse(v)
		}
	}
}
