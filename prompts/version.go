package prompts

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

var versionPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)

// splitRef cuts NAME@VERSION. Without a version, it is "".
func splitRef(ref string) (name, version string, err error) {
	name, version, has := strings.Cut(ref, "@")
	if !namePattern.MatchString(name) || has && !versionPattern.MatchString(version) {
		return "", "", fmt.Errorf("%q names no prompt: write NAME or NAME@VERSION", ref)
	}
	return name, version, nil
}

// joinRef is the other way round.
func joinRef(name, version string) string {
	if version == "" {
		return name
	}
	return name + "@" + version
}

// compareVersions orders versions as people count them: numbers inside of them by value, the rest as text, and
// what has a mark of a release to come ("2.0-rc1") before what has none ("2.0"). Versions that differ in leading
// zeros only are told apart as texts.
func compareVersions(a, b string) int {
	releaseA, markA, markedA := strings.Cut(a, "-")
	releaseB, markB, markedB := strings.Cut(b, "-")
	marks := natural(markA, markB)
	if markedA != markedB {
		marks = 1
		if markedA {
			marks = -1
		}
	}
	return cmp.Or(natural(releaseA, releaseB), marks, strings.Compare(a, b))
}

// natural compares texts, and numbers in them by value.
func natural(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = run(a)
		y, b = run(b)
		if isDigit(x[0]) && isDigit(y[0]) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Compare(len(x), len(y)); c != 0 {
				return c
			}
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// run cuts off the digits that s begins with, or else what is before the first.
func run(s string) (head, rest string) {
	i := 1
	for i < len(s) && isDigit(s[i]) == isDigit(s[0]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
