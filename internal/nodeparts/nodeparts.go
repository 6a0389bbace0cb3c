// Package nodeparts finds the foreign programs that tests run: the packages of node_modules.
package nodeparts

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// RequireEnv names the environment variable that, when it is 1, turns a missing part from a skip into a failure.
const RequireEnv = "AGENTRUN_REQUIRE_PARTS"

// Find gives node and a script of a package: its path within node_modules. It skips the test if one is missing, or
// fails it where parts are required.
func Find(t testing.TB, script string) (node, path string) {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		if parent == root {
			Missing(t, "the module's root (go.mod)")
		}
		root = parent
	}
	path = filepath.Join(root, "node_modules", filepath.FromSlash(script))
	if _, err := os.Stat(path); err != nil {
		Missing(t, "node_modules/"+script)
	}
	node, err = exec.LookPath("node")
	if err != nil {
		Missing(t, "node")
	}
	return node, path
}

// Missing skips the test for what it lacks, or fails it where parts are required.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s is missing and %s=1; run make deps", what, RequireEnv)
	}
	t.Skipf("%s is missing; run make deps", what)
}
