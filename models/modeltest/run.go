package modeltest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// Subject is a model under test.
type Subject struct {
	// Open returns a model that answers c.Request as the case says.
	Open func(t *testing.T, c Case) models.Model
	// NoErrors and NoSlow leave out the cases that a kind of model cannot show: one
	// that only knows answers has no rate limit, and no time to be cancelled in.
	NoErrors bool
	NoSlow   bool
}

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for _, c := range Cases() {
		switch {
		case c.Fail != nil && s.NoErrors, c.Slow && s.NoSlow:
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			m := s.Open(t, c)
			switch {
			case c.Fail != nil:
				fails(t, m, c)
			case c.Slow:
				cancelled(t, m, c)
			default:
				answers(t, m, c)
			}
		})
	}
	text := Cases()[0]
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := models.Collect(s.Open(t, text).Generate(ctx, &text.Request))
		if models.KindOf(err) != models.KindCanceled || !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v; want kind %s that is context.Canceled", err, models.KindCanceled)
		}
	})
	t.Run("deadline before", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		_, err := models.Collect(s.Open(t, text).Generate(ctx, &text.Request))
		if models.KindOf(err) != models.KindTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v; want kind %s that is context.DeadlineExceeded", err, models.KindTimeout)
		}
	})
	t.Run("left early", func(t *testing.T) {
		for ev, err := range s.Open(t, text).Generate(t.Context(), &text.Request) {
			if err != nil || ev.Response != nil {
				t.Fatalf("first event is %+v, %v; want a piece of the answer", ev, err)
			}
			break // must neither panic nor hang
		}
	})
	t.Run("concurrent", func(t *testing.T) {
		m := s.Open(t, text)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				resp, err := models.Collect(m.Generate(t.Context(), &text.Request))
				if err != nil {
					t.Error(err)
				} else if resp.Message.Content != text.Want.Message.Content {
					t.Errorf("text is %q", resp.Message.Content)
				}
			})
		}
		wg.Wait()
	})
}

// answers asks twice: the second time shows that the model kept nothing of the first.
func answers(t *testing.T, m models.Model, c Case) {
	before, err := json.Marshal(c.Request)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := gather(t, m, c)
		if got == nil {
			return
		}
		if got.Finish != c.Want.Finish {
			t.Errorf("finish is %q; want %q", got.Finish, c.Want.Finish)
		}
		if got.Usage != c.Want.Usage {
			t.Errorf("usage is %+v; want %+v", got.Usage, c.Want.Usage)
		}
		sameMessage(t, got.Message, c.Want.Message)
	}
	if after, _ := json.Marshal(c.Request); string(after) != string(before) {
		t.Errorf("the model changed its request from %s to %s", before, after)
	}
}

// gather reads an answer and checks that its pieces make the whole.
func gather(t *testing.T, m models.Model, c Case) *models.Response {
	t.Helper()
	var text strings.Builder
	var calls []models.ToolCall
	var last *models.Response
	for ev, err := range m.Generate(t.Context(), &c.Request) {
		if err != nil {
			t.Errorf("the model fails: %v", err)
			return nil
		}
		if last != nil {
			t.Error("an event comes after the response")
		}
		text.WriteString(ev.Delta)
		if d := ev.ToolCall; d != nil {
			if d.Index > len(calls) {
				t.Fatalf("a piece of call %d comes before one of call %d", d.Index, len(calls))
			}
			if d.Index == len(calls) {
				calls = append(calls, models.ToolCall{})
			}
			call := &calls[d.Index]
			call.ID += d.ID
			call.Name += d.Name
			call.Arguments += d.Arguments
		}
		last = ev.Response
	}
	if last == nil {
		t.Fatal("the sequence ended without response and without error")
	}
	if text.String() != last.Message.Content {
		t.Errorf("the deltas are %q; the answer is %q", text.String(), last.Message.Content)
	}
	if len(calls) > 0 && !reflect.DeepEqual(calls, last.Message.ToolCalls) {
		t.Errorf("the pieces of the calls are %+v; the answer has %+v", calls, last.Message.ToolCalls)
	}
	return last
}

func sameMessage(t *testing.T, got, want models.Message) {
	t.Helper()
	if got.Role != models.RoleAssistant || got.Content != want.Content {
		t.Errorf("message is %s %q; want %s %q", got.Role, got.Content, want.Role, want.Content)
	}
	if len(got.ToolCalls) != len(want.ToolCalls) {
		t.Fatalf("message has calls %+v; want %+v", got.ToolCalls, want.ToolCalls)
	}
	for i, w := range want.ToolCalls {
		g := got.ToolCalls[i]
		var gotArgs, wantArgs any
		if err := json.Unmarshal([]byte(g.Arguments), &gotArgs); err != nil {
			t.Errorf("arguments of call %d are %q: %v", i, g.Arguments, err)
		}
		_ = json.Unmarshal([]byte(w.Arguments), &wantArgs)
		if g.ID != w.ID || g.Name != w.Name || !reflect.DeepEqual(gotArgs, wantArgs) {
			t.Errorf("call %d is %+v; want %+v", i, g, w)
		}
	}
}

func fails(t *testing.T, m models.Model, c Case) {
	resp, err := models.Collect(m.Generate(t.Context(), &c.Request))
	if err == nil {
		t.Fatalf("the model answers %+v; want an error of kind %s", resp, c.Fail.Kind)
	}
	var e *models.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v has no *models.Error in it", err)
	}
	if e.Kind != c.Fail.Kind {
		t.Errorf("kind is %s (%v); want %s", e.Kind, err, c.Fail.Kind)
	}
	if c.Fail.RetryAfter != 0 && e.RetryAfter != c.Fail.RetryAfter {
		t.Errorf("retry after is %s; want %s", e.RetryAfter, c.Fail.RetryAfter)
	}
	if e.Provider == "" || strings.ContainsAny(err.Error(), "\r\n") {
		t.Errorf("error %q must be one line and name its provider", err.Error())
	}
}

// cancelled cancels after the first words and demands an error, never half an answer.
func cancelled(t *testing.T, m models.Model, c Case) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := false
	var failure error
	for ev, err := range m.Generate(ctx, &c.Request) {
		if ev.Response != nil {
			t.Fatalf("a cancelled answer ends with response %+v", ev.Response)
		}
		if err != nil {
			failure = err
			continue // nothing may follow; the loop ends if the model keeps that
		}
		began = true
		cancel()
	}
	if !began {
		t.Errorf("the answer failed before it was cancelled: %v", failure)
	}
	if models.KindOf(failure) != models.KindCanceled || !errors.Is(failure, context.Canceled) {
		t.Errorf("error is %v; want kind %s that is context.Canceled", failure, models.KindCanceled)
	}
}
