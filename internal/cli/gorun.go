package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

// goRun is the go run command that this program came from, as it can be typed in
// the working directory.
func goRun() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Path == "" || info.Path == "command-line-arguments" {
		return "go run ."
	}
	rel, inside := strings.CutPrefix(info.Path, info.Main.Path)
	if !inside || !isModule(info.Main.Path) {
		return "go run " + info.Path
	}
	return "go run ." + rel
}

// isModule reports whether the working directory is the root of a module.
func isModule(path string) bool {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			return strings.Trim(strings.TrimSpace(name), `"`) == path
		}
	}
	return false
}

// exeSuffix ends the names of programs on this system.
func exeSuffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}

// quoted is a word as a shell takes it. It serves for what is shown to be typed,
// so plain words stay plain.
func quoted(word string) string {
	plain := func(r rune) bool {
		return strings.ContainsRune("-_./:=@%+,", r) || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	if runtime.GOOS == "windows" {
		return `"` + filepath.Clean(word) + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
