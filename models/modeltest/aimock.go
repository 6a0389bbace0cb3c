package modeltest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/internal/nodeparts"
)

// TestIDHeader tells aimock which test a request belongs to. It keeps counters and
// its journal by it.
const TestIDHeader = "X-Test-Id"

// Aimock is a running @copilotkit/aimock: a server for OpenAI's API that others wrote.
type Aimock struct {
	// URL is the server's address; BaseURL is URL with the API's version.
	URL, BaseURL string

	key string // what it asks for, of its control surface too
}

// Fixture is one of aimock's fixtures, in its own words (JSON).
type Fixture map[string]any

// StartAimock starts a server with the fixtures, and stops it when the test ends. It
// skips the test if aimock or node is missing.
func StartAimock(t *testing.T, fixtures ...Fixture) *Aimock {
	t.Helper()
	return startAimock(t, "", fixtures...)
}

// startAimock starts a server that answers 401 to every other key, unless key is "".
func startAimock(t *testing.T, key string, fixtures ...Fixture) *Aimock {
	t.Helper()
	node, cli := nodeparts.Find(t, "@copilotkit/aimock/dist/cli.js")
	dir := t.TempDir()
	data, err := json.Marshal(map[string]any{"fixtures": fixtures})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fixtures.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, node, cli, "-p", "0", "-f", dir, "--validate-on-load", "--strict")
	if key != "" {
		cmd.Env = append(os.Environ(), "AIMOCK_API_KEYS="+key)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("start aimock: %v", err)
	}
	var wg sync.WaitGroup
	ready := make(chan string, 1)
	wg.Go(func() { watch(stdout, ready) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		_ = cmd.Wait() // killed: always an error
	})
	select {
	case address := <-ready:
		if !strings.HasPrefix(address, "http") {
			t.Fatalf("aimock did not start: %s", address)
		}
		return &Aimock{URL: address, BaseURL: address + "/v1", key: key}
	case <-time.After(time.Minute):
		t.Fatal("aimock said nothing for a minute")
		return nil
	}
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// watch sends the address that aimock prints once it listens, or all that it said if
// it ends before. It reads until aimock is gone, lest its output block it.
func watch(out io.Reader, ready chan<- string) {
	var said strings.Builder
	found := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if found {
			continue
		}
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			found = true
			ready <- m[1]
		}
		said.WriteString(lines.Text() + "\n")
	}
	if !found {
		ready <- said.String()
	}
	_, _ = io.Copy(io.Discard, out) // after a line too long for the scanner
}

var testIDs atomic.Int64

// NewTestID returns an id for TestIDHeader that no other test has.
func (a *Aimock) NewTestID(t *testing.T) string {
	return fmt.Sprintf("%s-%d-%d", t.Name(), os.Getpid(), testIDs.Add(1))
}

func (a *Aimock) authorize(req *http.Request) {
	if a.key != "" {
		req.Header.Set("Authorization", "Bearer "+a.key)
	}
}

// JournalEntry is a request as aimock saw it.
type JournalEntry struct {
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// Journal returns the requests of a test.
func (a *Aimock) Journal(t *testing.T, testID string) []JournalEntry {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL+"/__aimock/journal?testId="+url.QueryEscape(testID), nil)
	if err != nil {
		t.Fatal(err)
	}
	a.authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var entries []JournalEntry
	if err := json.NewDecoder(resp.Body).Decode(&entries); err != nil {
		t.Fatalf("journal (%s): %v", resp.Status, err)
	}
	return entries
}

// Fixtures returns what makes aimock answer all [Cases].
func Fixtures() []Fixture {
	var out []Fixture
	for _, c := range Cases() {
		f := Fixture{"match": map[string]any{"userMessage": c.Prompt()}}
		response := map[string]any{}
		if e := c.Fail; e != nil {
			response["error"] = map[string]any{"message": e.Message, "code": e.Code, "type": "test_error"}
			response["status"] = e.Status
			if e.RetryAfter > 0 {
				response["retryAfter"] = int(e.RetryAfter.Seconds())
			}
			f["response"] = response
			out = append(out, f)
			continue
		}
		if c.Want.Message.Content != "" {
			response["content"] = c.Want.Message.Content
		}
		var calls []any
		for _, call := range c.Want.Message.ToolCalls {
			calls = append(calls, map[string]any{"id": call.ID, "name": call.Name, "arguments": call.Arguments})
		}
		if calls != nil {
			response["toolCalls"] = calls
		}
		if u := c.Want.Usage; u.InputTokens > 0 {
			response["usage"] = map[string]any{"prompt_tokens": u.InputTokens, "completion_tokens": u.OutputTokens}
		}
		f["response"] = response
		f["chunkSize"] = 7 // cuts words and arguments apart
		if c.Slow {
			f["latency"] = 100
		}
		out = append(out, f)
	}
	return out
}
