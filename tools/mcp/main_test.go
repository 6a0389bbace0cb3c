package mcp

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the servers that hostile_test.go starts: this program, with another role.
func TestMain(m *testing.M) {
	if role := roles[os.Getenv(roleEnv)]; role != nil {
		role()
		return
	}
	goleak.VerifyTestMain(m)
}
