package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/tools"
)

// TestErrorWithStatus calls an unsafe tool of a server that answers a call with the protocol's error and a status of
// HTTP that says so, too. It has seen the call, whatever the status means elsewhere.
func TestErrorWithStatus(t *testing.T) {
	for _, code := range []int{400, 404, 422} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			var calls atomic.Int32
			server, url := serving(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					r.Body = io.NopCloser(strings.NewReader(string(body)))
					var m struct {
						ID     json.RawMessage `json:"id"`
						Method string          `json:"method"`
					}
					if json.Unmarshal(body, &m) != nil || m.Method != "tools/call" {
						h.ServeHTTP(w, r)
						return
					}
					calls.Add(1) // and does half of it
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(code)
					fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":{"code":-32000,"message":"the account is closed"}}`, m.ID)
				})
			})
			offer(server, "pay", nil)
			_, err := index(t, open(t, HTTP(url, nil), Options{}))["pay"].Call(t.Context(), tools.Call{Key: "k"})
			if err == nil || errors.As(err, new(*tools.UnknownOutcomeError)) || !strings.Contains(err.Error(), "the account is closed") {
				t.Errorf("%v, want the server's answer", err)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("the tool was called %d times", n)
			}
		})
	}
}
