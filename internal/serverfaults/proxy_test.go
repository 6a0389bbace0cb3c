//go:build linux || darwin

package serverfaults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/internal/nodeparts"
)

// toxiproxy is a Toxiproxy server in a process of its own.
type toxiproxy struct {
	t   *testing.T
	url string
}

// startProxy builds Toxiproxy from its own module file, and starts it. Without its module, which is
// not among those of go.mod, the test is skipped.
func startProxy(t *testing.T) *toxiproxy {
	t.Helper()
	path := filepath.Join(t.TempDir(), "toxiproxy")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/Shopify/toxiproxy/v2/cmd/server")
	cmd.Dir = "toxiproxy"
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv(nodeparts.RequireEnv) == "1" {
			t.Fatalf("toxiproxy is missing and %s=1: %v\n%s", nodeparts.RequireEnv, err, out)
		}
		t.Skipf("toxiproxy cannot be built: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // it does not tell which port it took
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(path, "-host", "127.0.0.1", "-port", port)
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	t.Cleanup(func() {
		_ = server.Process.Kill() // it may have ended
		<-ended
	})
	p := &toxiproxy{t, "http://127.0.0.1:" + port}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		if _, err := p.ask(t.Context(), http.MethodGet, "/version", nil); err == nil {
			tick.Stop()
			return p
		}
		select {
		case <-tick.C:
		case err := <-ended:
			ended <- err
			t.Fatalf("toxiproxy ended with %v\n%s", err, log.Bytes())
		}
	}
}

// ask makes a request to Toxiproxy.
func (p *toxiproxy) ask(ctx context.Context, method, path string, body any) (map[string]any, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("toxiproxy: %s %s: %s %s", method, path, resp.Status, b)
	}
	var m map[string]any
	_ = json.Unmarshal(b, &m) // some answers are no objects, and nobody looks at them
	return m, nil
}

// between makes a proxy before an address, and gives its own.
func (p *toxiproxy) between(name, address string) string {
	p.t.Helper()
	m, err := p.ask(p.t.Context(), http.MethodPost, "/proxies", map[string]any{"name": name, "listen": "127.0.0.1:0", "upstream": address, "enabled": true})
	listen, ok := m["listen"].(string)
	if err != nil || !ok {
		p.t.Fatalf("a proxy: %v %v", m, err)
	}
	return listen
}

// toxic is something that is wrong with a direction of all connections through a proxy.
type toxic struct {
	name       string // as the figures have it
	kind       string // Toxiproxy's
	stream     string // upstream: what workers send; downstream: what they get
	attributes map[string]any
}

func (p *toxiproxy) poison(ctx context.Context, proxy string, x toxic) error {
	_, err := p.ask(ctx, http.MethodPost, "/proxies/"+proxy+"/toxics",
		map[string]any{"name": "t", "type": x.kind, "stream": x.stream, "toxicity": 1, "attributes": x.attributes})
	return err
}

func (p *toxiproxy) heal(ctx context.Context, proxy string) error {
	_, err := p.ask(ctx, http.MethodDelete, "/proxies/"+proxy+"/toxics/t", nil)
	return err
}

// enable lets connections through, or cuts all and takes no more.
func (p *toxiproxy) enable(ctx context.Context, proxy string, on bool) error {
	_, err := p.ask(ctx, http.MethodPost, "/proxies/"+proxy, map[string]any{"enabled": on})
	return err
}
