package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
)

// A time to live that was made shorter leaves the signal of the longer one under way. It
// does not hold the payloads of a conversation that went before it is due.
func TestTimeToLiveMadeShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, load := open(t, "memory:")
		defer rt.Close()
		c := rt.Client()
		day := 24 * time.Hour
		for _, tc := range []struct {
			key string
			end func()
		}{
			{"expired", func() { time.Sleep(2 * day) }},
			{"deleted", func() { // after the signal of the shorter one has come
				must(t, c, step{"deleted", "pin", memory.Pin{At: []int{0}}}, step{"deleted", "ttl", memory.Lifetime{}})
				time.Sleep(2 * day)
				if err := memory.Delete.Send(t.Context(), c, "deleted", memory.Deletion{}); err != nil {
					t.Fatal(err)
				}
			}},
		} {
			h := imported(t, c, tc.key, bank)
			must(t, c, step{tc.key, "ttl", memory.Lifetime{TTL: 3000 * day}}, step{tc.key, "ttl", memory.Lifetime{TTL: day}})
			tc.end()
			synctest.Wait()
			if _, ok, err := memory.Conversation.Get(t.Context(), c, tc.key); ok || err != nil {
				t.Fatalf("%s: still there: %v, %v", tc.key, ok, err)
			}
			for _, ref := range []durable.Ref{h.First, h.Chunk} {
				if _, err := load(ref); !durable.IsNotFound(err) {
					t.Errorf("%s: a payload of it: %v", tc.key, err)
				}
			}
		}
	})
}
