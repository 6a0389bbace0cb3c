package models

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"
)

// asked is a model that notes what it is asked as, and then does as f does.
func asked(names *[]string, f modelFunc) Model {
	return &noting{names, f}
}

type noting struct {
	names *[]string
	modelFunc
}

func (n *noting) Generate(ctx context.Context, req *Request) iter.Seq2[Event, error] {
	*n.names = append(*n.names, req.Model)
	return n.modelFunc.Generate(ctx, req)
}

func fails(err error) modelFunc {
	return func(_ context.Context, y func(Event, error) bool) { y(Event{}, err) }
}

func says(text string) modelFunc {
	return func(_ context.Context, y func(Event, error) bool) {
		_ = y(Event{Delta: text}, nil) && y(Event{Response: say(text)}, nil)
	}
}

// TestFallbackGoesOn has a row for every kind of failure.
func TestFallbackGoesOn(t *testing.T) {
	goesOn := map[ErrorKind]bool{
		KindRateLimit: true, KindQuota: true, KindAuth: true, KindNotFound: true, KindTimeout: true, KindUnavailable: true,
		KindIncomplete: true, KindMalformed: true, KindTooLarge: true, KindUnreachable: true, KindUnknown: true,
		KindInvalidRequest: false, KindContextLength: false, KindContentFilter: false, KindNoAnswer: false,
		KindNoUsage: false, KindCanceled: false,
	}
	for kind, want := range goesOn {
		var names []string
		m := Fallback([]Named{
			{"first", asked(&names, fails(&Error{Kind: kind, Message: "no"}))},
			{"second", asked(&names, says("hi"))},
		}, FallbackOptions{})
		req := &Request{Model: "chain"}
		resp, err := Collect(m.Generate(t.Context(), req))
		if req.Model != "chain" {
			t.Errorf("%s: the request was changed", kind)
		}
		if !want {
			if KindOf(err) != kind || !slices.Equal(names, []string{"first"}) {
				t.Errorf("%s: asked %v, error %v; want its error after the first", kind, names, err)
			}
			continue
		}
		if err != nil || !slices.Equal(names, []string{"first", "second"}) {
			t.Errorf("%s: asked %v, error %v; want the second one's answer", kind, names, err)
			continue
		}
		failed := Tried{Model: "first", Kind: kind, Message: string(kind) + ": no", Attempts: 1}
		if resp.Answered != "second" || len(resp.Tried) != 1 || resp.Tried[0] != failed {
			t.Errorf("%s: answered %q, tried %+v", kind, resp.Answered, resp.Tried)
		}
	}
}

func TestFallbackOptions(t *testing.T) {
	var names []string
	var told []string
	m := Fallback([]Named{
		{"short", asked(&names, fails(&Error{Kind: KindContextLength}))},
		{"", nil}, // a hole in the chain is a model that is not there
		{"long", asked(&names, says("hi"))},
	}, FallbackOptions{
		GoOn:     func(e *Error) bool { return e.Kind == KindContextLength || Survivable(e) },
		OnSwitch: func(failed Tried, next string) { told = append(told, failed.Model+" "+string(failed.Kind)+" to "+next) },
	})
	resp, err := Collect(m.Generate(t.Context(), &Request{}))
	if err != nil || resp.Answered != "long" || !slices.Equal(told, []string{"short context_length to ", " not_found to long"}) {
		t.Errorf("asked %v, told %q, error %v", names, told, err)
	}
	if _, err := Collect(Fallback(nil, FallbackOptions{}).Generate(t.Context(), &Request{})); KindOf(err) != KindNotFound {
		t.Errorf("an empty chain: %v", err)
	}
}

// events writes what a stream shows: deltas, "|" where they are void, "." at its
// end and "!" for an error.
func events(ctx context.Context, m Model) (string, *Response, error) {
	var b strings.Builder
	for ev, err := range Checked(m.Generate(ctx, &Request{})) {
		switch {
		case err != nil:
			return b.String() + "!", nil, err
		case ev.Superseded != nil:
			b.WriteString("|")
		case ev.Response != nil:
			return b.String() + ".", ev.Response, nil
		}
		b.WriteString(ev.Delta)
	}
	return b.String(), nil, nil
}

// TestFallbackOnceShown is the rule that text is never taken back in silence.
func TestFallbackOnceShown(t *testing.T) {
	half := modelFunc(func(_ context.Context, y func(Event, error) bool) {
		_ = y(Event{Delta: "half"}, nil) && y(Event{}, busy(0))
	})
	chain := []Named{{"a", half}, {"b", fails(busy(0))}, {"c", half}, {"d", says("whole")}}
	if got, _, err := events(t.Context(), Fallback(chain, FallbackOptions{})); got != "half!" || KindOf(err) != KindUnavailable {
		t.Errorf("shown %q, error %v; want the failure of the first", got, err)
	}
	got, resp, err := events(t.Context(), Fallback(chain, FallbackOptions{Restart: true}))
	if got != "half|half|whole." || err != nil || resp.Answered != "d" || len(resp.Tried) != 3 {
		t.Errorf("shown %q, answer %+v, error %v", got, resp, err)
	}
}

// TestCheckedCountsAnew shows that a superseded attempt does not use up the size that
// an answer may have.
func TestCheckedCountsAnew(t *testing.T) {
	big := strings.Repeat("x", MaxAnswerBytes*2/3)
	m := modelFunc(func(_ context.Context, y func(Event, error) bool) {
		_ = y(Event{Delta: big}, nil) && y(Event{Superseded: &Tried{}}, nil) && y(Event{Delta: big}, nil) &&
			y(Event{Response: say("hi")}, nil)
	})
	if _, err := Collect(m.Generate(t.Context(), nil)); err != nil {
		t.Error(err)
	}
}

func TestFallbackFailure(t *testing.T) {
	limited := func(d time.Duration) *Error { return &Error{Kind: KindRateLimit, RetryAfter: d} }
	quota, auth := &Error{Kind: KindQuota}, &Error{Kind: KindAuth, Message: "wrong key"}
	nowhere := &Error{Kind: KindUnreachable, Permanent: true}
	tests := []struct {
		name  string
		errs  []error
		kind  ErrorKind
		again bool
		after time.Duration
		asked int
	}{
		{"only one", []error{quota}, KindQuota, false, 0, 1},
		{"soonest", []error{limited(time.Minute), limited(time.Second), limited(time.Hour)}, KindRateLimit, true, time.Second, 3},
		{"one may pass", []error{quota, limited(time.Minute), auth}, KindRateLimit, true, time.Minute, 3},
		{"none may pass", []error{auth, quota}, KindQuota, false, 0, 2},
		{"nowhere", []error{quota, nowhere}, KindUnreachable, false, 0, 2},
		{"the first may pass, the second refuses", []error{busy(0), &Error{Kind: KindInvalidRequest}, quota}, KindUnavailable, true, 0, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var names []string
			var chain []Named
			for i, err := range tt.errs {
				chain = append(chain, Named{string(rune('a' + i)), asked(&names, fails(err))})
			}
			_, err := Collect(Fallback(chain, FallbackOptions{}).Generate(t.Context(), &Request{}))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Kind != tt.kind || e.Retryable() != tt.again || e.RetryAfter != tt.after || len(names) != tt.asked {
				t.Errorf("error %#v after %v", e, names)
			}
			tried := TriedOf(err)
			if len(tried) != tt.asked {
				t.Errorf("tried %+v", tried)
			}
			for i, name := range names {
				if tried[i].Model != name || len(names) > 1 && !strings.Contains(err.Error(), name+": ") {
					t.Errorf("error %q, tried %+v: where is %s?", err, tried, name)
				}
			}
			if !errors.Is(err, tt.errs[0]) {
				t.Error("the causes are hidden")
			}
		})
	}
}

// TestFallbackCanceled shows that nobody else is asked once the caller has gone.
func TestFallbackCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var names []string
	gone := modelFunc(func(ctx context.Context, y func(Event, error) bool) { cancel(); y(Event{}, busy(0)) })
	m := Fallback([]Named{{"a", asked(&names, gone)}, {"b", asked(&names, says("hi"))}}, FallbackOptions{})
	if _, err := Collect(m.Generate(ctx, &Request{})); err == nil || len(names) != 1 {
		t.Errorf("asked %v, error %v", names, err)
	}
}

// TestAttemptsAreCounted puts retries inside and outside of a chain.
func TestAttemptsAreCounted(t *testing.T) {
	opts := RetryOptions{MaxAttempts: 3, Sleep: func(context.Context, time.Duration) error { return nil }}
	late, _ := flaky(busy(0), busy(0), &Error{Kind: KindRateLimit})
	resp, err := Collect(WithRetry(late, RetryOptions{Sleep: opts.Sleep}).Generate(t.Context(), &Request{Model: "m"}))
	if err != nil || len(resp.Tried) != 2 || resp.Tried[0].Attempts != 2 || resp.Tried[1].Kind != KindRateLimit || resp.Answered != "" {
		t.Errorf("answer %+v, error %v", resp, err)
	}
	once, _ := flaky(busy(0))
	inner := Fallback([]Named{
		{"a", WithRetry(fails(busy(0)), opts)},
		{"b", WithRetry(once, opts)},
	}, FallbackOptions{})
	resp, err = Collect(inner.Generate(t.Context(), &Request{}))
	if err != nil || len(resp.Tried) != 2 || resp.Tried[0].Model != "a" || resp.Tried[0].Attempts != 3 ||
		resp.Tried[1].Model != "b" || resp.Tried[1].Attempts != 1 || resp.Answered != "b" {
		t.Errorf("answer %+v, error %v", resp, err)
	}
	outer := WithRetry(Fallback([]Named{{"a", fails(busy(0))}, {"b", fails(&Error{Kind: KindQuota})}}, FallbackOptions{}), opts)
	_, err = Collect(outer.Generate(t.Context(), &Request{}))
	got := ""
	for _, x := range TriedOf(err) {
		got += x.Model + strings.Repeat("+", x.Attempts) + " "
	}
	if got != "a+ b+ a+ b+ a+ b+ " || !strings.Contains(err.Error(), "attempt 3: ") {
		t.Errorf("tried %s, error %v", got, err)
	}
	// A chain within a chain names the model, and a bound around all of it loses nothing.
	m := WithTimeouts(Fallback([]Named{{"x", fails(busy(0))}, {"inner", inner}}, FallbackOptions{}), Timeouts{Total: time.Hour})
	resp, err = Collect(m.Generate(t.Context(), &Request{}))
	if err != nil || resp.Answered != "b" || len(resp.Tried) != 2 || resp.Tried[0].Model != "x" || resp.Tried[1].Model != "a" {
		t.Errorf("answer %+v, error %v", resp, err)
	}
	// A model that fails once something was shown still says what came before.
	n := 0
	cut := modelFunc(func(_ context.Context, y func(Event, error) bool) {
		if n++; n > 1 {
			y(Event{Delta: "half"}, nil)
		}
		y(Event{}, busy(0))
	})
	if _, err := Collect(WithRetry(cut, opts).Generate(t.Context(), &Request{})); len(TriedOf(err)) != 1 || TriedOf(err)[0].Attempts != 2 {
		t.Errorf("tried %+v", TriedOf(err))
	}
}
