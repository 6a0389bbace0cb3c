package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/tools"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// attest makes many calls of a tool at the same time, each with a key of its own, and compares what they say with
// what the server has done.
func attest(t *testing.T, tool tools.Tool, done func() []string) {
	t.Helper()
	const calls, workers = 60, 4
	outcomes := make([]error, calls)
	var wg sync.WaitGroup
	var next atomic.Int32
	for range workers {
		wg.Go(func() {
			for n := int(next.Add(1)) - 1; n < calls; n = int(next.Add(1)) - 1 {
				key := fmt.Sprint("key-", n)
				r, err := tool.Call(t.Context(), tools.Call{Key: key})
				if err == nil && r.Content != key {
					t.Errorf("%s got %q", key, r.Content)
				}
				outcomes[n] = err
			}
		})
	}
	wg.Wait()
	times := map[string]int{}
	for _, key := range done() {
		times[key]++
	}
	ok, unknown, failed := 0, 0, 0
	for n, err := range outcomes {
		did := times[fmt.Sprint("key-", n)]
		switch isUnknown := errors.As(err, new(*tools.UnknownOutcomeError)); {
		case err == nil && (did == 1 || did > 1 && tool.Effect().Repeatable()):
			ok++
		case isUnknown && did <= 1 && !tool.Effect().Repeatable():
			unknown++
		case err != nil && !isUnknown && (did == 0 || tool.Effect().Repeatable()):
			failed++
		default:
			t.Errorf("call %d: %v, and it was done %d times", n, err, did)
		}
	}
	t.Logf("%s: %d done, %d unknown, %d not done", tool.Effect(), ok, unknown, failed)
	if ok == 0 || !tool.Effect().Repeatable() && unknown == 0 {
		t.Error("the server was too good, or too bad, to show anything")
	}
}

// TestWitness has a process that dies of every fifth call.
func TestWitness(t *testing.T) {
	for _, effect := range []tools.Effect{tools.EffectUnsafe, tools.EffectIdempotent} {
		t.Run(effect.String(), func(t *testing.T) {
			via := as(t, "witness")
			file := filepath.Join(t.TempDir(), "keys")
			via.Env = append(via.Env, fileEnv+"="+file)
			s := open(t, via, Options{Effects: map[string]tools.Effect{"t": effect}})
			attest(t, index(t, s)["t"], func() []string { return lines(t, file) })
		})
	}
}

// TestWitnessHTTP has a proxy that breaks connections before and after the server has done what it was asked.
func TestWitnessHTTP(t *testing.T) {
	for _, effect := range []tools.Effect{tools.EffectUnsafe, tools.EffectPure} {
		t.Run(effect.String(), func(t *testing.T) {
			var requests atomic.Int32
			var bad atomic.Bool
			server, url := serving(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !bad.Load() || r.Method != http.MethodPost {
						h.ServeHTTP(w, r)
						return
					}
					switch requests.Add(1) % 17 {
					case 5: // nothing arrives
						panic(http.ErrAbortHandler)
					case 9: // the answer is lost
						h.ServeHTTP(httptest.NewRecorder(), r)
						panic(http.ErrAbortHandler)
					case 13: // somebody else answers
						h.ServeHTTP(httptest.NewRecorder(), r)
						w.WriteHeader(http.StatusBadGateway)
					case 16:
						w.WriteHeader(http.StatusTooManyRequests)
					default:
						h.ServeHTTP(w, r)
					}
				})
			})
			var mu sync.Mutex
			var keys []string
			offer(server, "t", func(_ context.Context, r *sdk.CallToolRequest) string {
				key := fmt.Sprint(r.Params.Meta[KeyMeta])
				mu.Lock()
				defer mu.Unlock()
				keys = append(keys, key)
				return key
			})
			s := open(t, HTTP(url, nil), Options{Effects: map[string]tools.Effect{"t": effect}})
			tool := index(t, s)["t"]
			bad.Store(true)
			attest(t, tool, func() []string {
				mu.Lock()
				defer mu.Unlock()
				return keys
			})
			bad.Store(false)
		})
	}
}
