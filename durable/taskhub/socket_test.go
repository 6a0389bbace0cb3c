package taskhub_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

func TestSocketPath(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp) // where the system has another name for it, the paths below are as short
	real, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := taskhub.SocketPath(filepath.Join(real, "a.db")), filepath.Join(real, "a.db.sock"); got != want {
		t.Errorf("a short path gave %s, want %s", got, want)
	}

	deep := filepath.Join(real, strings.Repeat("d", 100))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(real, "link")
	if err := os.Symlink(deep, link); err != nil {
		t.Skip("skipped: no symbolic links here:", err)
	}
	long := taskhub.SocketPath(filepath.Join(deep, "a.db"))
	if len(long) > 100 || strings.HasPrefix(long, real) {
		t.Errorf("a long path gave %s", long)
	}
	if other := taskhub.SocketPath(filepath.Join(deep, "b.db")); other == long {
		t.Errorf("two databases share %s", other)
	}
	if got := taskhub.SocketPath(filepath.Join(link, "a.db")); got != long {
		t.Errorf("through a short link it is %s, want %s", got, long)
	}
	t.Chdir(deep)
	if got := taskhub.SocketPath("a.db"); got != long {
		t.Errorf("relative it is %s, want %s", got, long)
	}

	t.Setenv("TMPDIR", deep)
	if got := taskhub.SocketPath("a.db"); len(got) > 100 && runtime.GOOS != "windows" {
		t.Errorf("with a long temporary directory it is %s", got)
	}
}

// TestLongPath serves a database whose own socket path would be too long.
func TestLongPath(t *testing.T) {
	temp, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	t.Setenv("TMPDIR", temp)
	path := taskhub.SocketPath(filepath.Join(t.TempDir(), strings.Repeat("d", 100), "a.db"))
	lis, err := taskhub.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := taskhub.Serve(lis, newEngine(t), taskhub.Info{})
	defer server.Close()
	dial(t, path)
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	alive, _ := serve(t, newEngine(t))
	for name, c := range map[string]struct{ path, says string }{
		"a file":         {file, "no socket"},
		"a live program": {alive, "still answers"},
		"a long path":    {filepath.Join(dir, strings.Repeat("x", 100)), "100 bytes"},
		"no directory":   {filepath.Join(dir, "no", "hub.sock"), "no such"},
	} {
		t.Run(name, func(t *testing.T) {
			lis, err := taskhub.Listen(c.path)
			if err == nil {
				lis.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Listen gave %v, want %q in it", err, c.says)
			}
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file is now %q (%v)", b, err)
	}
	dial(t, alive)
}
