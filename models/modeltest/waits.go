package modeltest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// slowServer takes its time before the response, says its pieces as they are read, and
// then nothing until its caller is gone.
type slowServer struct {
	first  time.Duration
	pieces []string
}

func (s slowServer) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	select {
	case <-time.After(s.first):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r, w := io.Pipe()
	go func() {
		for _, piece := range s.pieces {
			_, _ = io.WriteString(w, piece)
		}
		<-ctx.Done()
		w.CloseWithError(ctx.Err())
	}()
	return streamed(req, r), nil
}

// waits is about servers that take their time, on a clock of its own.
func waits(t *testing.T, open OpenChat) {
	hi := Delta(`{"content":"hi"}`)
	t.Run("slow first byte", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, Server{BaseURL: "http://slow.test/v1", IdleTimeout: 5 * time.Minute,
				Transport: slowServer{4 * time.Minute, []string{hi + Finish("stop") + Done}}})
			if resp, err := collect(t, m); err != nil || resp.Message.Content != "hi" {
				t.Errorf("answer %+v, error %v", resp, err)
			}
		})
	})
	t.Run("first byte too slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, Server{BaseURL: "http://slow.test/v1", IdleTimeout: 5 * time.Minute, Transport: slowServer{6 * time.Minute, []string{hi}}})
			began := time.Now()
			_, err := collect(t, m)
			typed(t, err, models.KindTimeout, true, "sent nothing for 5m0s")
			if time.Since(began) != 5*time.Minute {
				t.Errorf("given up after %s", time.Since(began))
			}
		})
	})
	t.Run("silence in mid-stream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, Server{BaseURL: "http://slow.test/v1", IdleTimeout: time.Minute, Transport: slowServer{0, []string{hi}}})
			text, took, err := slowly(t.Context(), m)
			typed(t, err, models.KindTimeout, true)
			// A consumer that takes its time is not a silent server; one that reads while
			// the consumer works may have heard the silence by then.
			if text != "hi" || took < time.Hour || took > time.Hour+time.Minute {
				t.Errorf("text %q after %s", text, took)
			}
		})
	})
	t.Run("slow consumer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, Server{BaseURL: "http://slow.test/v1", IdleTimeout: time.Minute,
				Transport: slowServer{0, []string{hi, hi, Finish("stop"), Done}}})
			if text, took, err := slowly(t.Context(), m); err != nil || text != "hihi" || took != 2*time.Hour {
				t.Errorf("text %q after %s, error %v; it was not the server that took its time", text, took, err)
			}
		})
	})
	t.Run("no end after finish_reason", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := open(t, Server{BaseURL: "http://slow.test/v1", IdleTimeout: 10 * time.Minute, Transport: slowServer{0, []string{hi + Finish("stop")}}})
			began := time.Now()
			resp, err := collect(t, m)
			if err != nil || resp.Message.Content != "hi" || time.Since(began) > time.Minute {
				t.Errorf("answer %+v, error %v after %s; the answer was whole", resp, err, time.Since(began))
			}
		})
	})
	for _, first := range []time.Duration{0, time.Minute} {
		t.Run("deadline after "+first.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := open(t, Server{BaseURL: "http://slow.test/v1", Transport: slowServer{first, []string{hi}}})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := models.Collect(m.Generate(ctx, hello()))
				typed(t, err, models.KindTimeout, true)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error is %v; want the caller's deadline", err)
				}
			})
		})
	}
}

// slowly reads an answer, and takes an hour over its first words.
func slowly(ctx context.Context, m models.Model) (text string, took time.Duration, failure error) {
	began := time.Now()
	for ev, err := range m.Generate(ctx, hello()) {
		text, failure = text+ev.Delta, err
		if ev.Delta != "" {
			<-time.After(time.Hour) // of a bubble's clock
		}
	}
	return text, time.Since(began), failure
}

// cancelInMidStream demands that a call ends with its caller's wish, and that the
// server is let go.
func cancelInMidStream(t *testing.T, open OpenChat) {
	for name, begin := range map[string]string{
		"text":                 Delta(`{"content":"hi"}`),
		"after finish_reason":  Delta(`{"content":"hi"}`) + Finish("stop"),
		"in a tool call":       Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]}`),
		"in half an event":     Delta(`{"content":"hi"}`) + `data: {"choices":`,
		"after many keepalive": strings.Repeat(": wait\n\n", 400) + Delta(`{"content":"hi"}`),
	} {
		t.Run(name, func(t *testing.T) {
			gone := make(chan struct{})
			m := open.handle(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(gone)
				w.Header().Set("Content-Type", eventStream)
				_, _ = io.WriteString(w, begin)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var failure error
			for ev, err := range m.Generate(ctx, hello()) {
				if ev.Response != nil {
					t.Errorf("a cancelled answer ends with %+v", ev.Response)
				}
				failure = err
				cancel()
			}
			typed(t, failure, models.KindCanceled, false)
			if !errors.Is(failure, context.Canceled) {
				t.Errorf("error is %v; want context.Canceled", failure)
			}
			<-gone
		})
	}
	t.Run("left early", func(t *testing.T) {
		gone := make(chan struct{})
		m := open.handle(t, func(w http.ResponseWriter, r *http.Request) {
			defer close(gone)
			w.Header().Set("Content-Type", eventStream)
			_, _ = io.WriteString(w, Delta(`{"content":"hi"}`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		for _, err := range m.Generate(t.Context(), hello()) {
			if err != nil {
				t.Error(err)
			}
			break
		}
		<-gone
	})
}
