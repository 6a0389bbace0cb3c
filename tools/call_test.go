package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/google/go-cmp/cmp"
)

type temperature string

type shout string

func (s shout) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(s))), nil }

// returning makes a tool that returns v.
func returning[Out any](v Out, opts ...tools.Option) tools.Tool {
	return tools.New("t", "", func(context.Context, none) (Out, error) { return v, nil }, opts...)
}

func TestResult(t *testing.T) {
	tests := []struct {
		name string
		tool tools.Tool
		want tools.Result
	}{
		{"text", returning("<b>"), tools.Result{Content: "<b>"}},
		{"named text", returning(temperature("20°")), tools.Result{Content: "20°"}},
		{"text with a form of its own", returning(shout("hi")), tools.Result{Content: `"HI"`}},
		{"struct", returning(struct {
			A string `json:"a"`
		}{"<&"}), tools.Result{Content: `{"a":"<&"}`}},
		{"number", returning(1.5), tools.Result{Content: "1.5"}},
		{"raw JSON", returning(json.RawMessage(`{"a": 1}`)), tools.Result{Content: `{"a":1}`}},
		{"result", returning(tools.Result{Content: "no", IsError: true}), tools.Result{Content: "no", IsError: true}},
		{"empty result", returning(tools.Result{IsError: true}), tools.Result{Content: "(no output)", IsError: true}},
		{"empty text", returning(""), tools.Result{Content: "(no output)"}},
		{"empty named text", returning(temperature("")), tools.Result{Content: "(no output)"}},
		{"empty struct", returning(none{}), tools.Result{Content: "(no output)"}},
		{"nil pointer", returning[*int](nil), tools.Result{Content: "(no output)"}},
		{"nil interface", returning[any](nil), tools.Result{Content: "(no output)"}},
		{"empty list", returning([]int{}), tools.Result{Content: "[]"}},
		{"invalid UTF-8", returning("a\xffb"), tools.Result{Content: "a\uFFFDb"}},
		{"at the limit", returning("12345678", tools.MaxResult(8)), tools.Result{Content: "12345678"}},
		{"over the limit", returning("123456789", tools.MaxResult(8)), tools.Result{Content: "12345678\n[truncated: 1 of 9 bytes left out]", Whole: "123456789", Shown: 8}},
		{"cut between characters", returning("€€€", tools.MaxResult(8)), tools.Result{Content: "€€\n[truncated: 3 of 9 bytes left out]", Whole: "€€€", Shown: 6}},
		{"limit of a result", returning(tools.Result{Content: "abc"}, tools.MaxResult(1)), tools.Result{Content: "a\n[truncated: 2 of 3 bytes left out]", Whole: "abc", Shown: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.tool.Call(t.Context(), tools.Call{})
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("error %v, result (-want +got):\n%s", err, diff)
			}
		})
	}
	long, err := returning(strings.Repeat("é", tools.DefaultMaxResult)).Call(t.Context(), tools.Call{})
	if err != nil || len(long.Content) > tools.DefaultMaxResult+100 || !utf8.ValidString(long.Content) {
		t.Errorf("%d bytes are shown, %v", len(long.Content), err)
	}
}

func TestResultWithoutJSON(t *testing.T) {
	var stop *tools.StopError
	if _, err := returning(math.NaN(), tools.Pure()).Call(t.Context(), tools.Call{}); err == nil || errors.As(err, &stop) {
		t.Errorf("pure: %v, want an ordinary error", err)
	}
	if _, err := returning(math.NaN()).Call(t.Context(), tools.Call{}); !errors.As(err, &stop) {
		t.Errorf("unsafe: %v, want a StopError", err)
	}
}

func TestCallInContext(t *testing.T) {
	want := tools.Call{ID: "call_1", Key: "k", Arguments: `{}`, Run: "r", Agent: "a", Attempt: 2}
	var got tools.Call
	var key string
	tool := tools.New("t", "", func(ctx context.Context, _ none) (string, error) {
		got, _ = tools.FromContext(ctx)
		key = tools.Key(ctx)
		return "", nil
	})
	if _, err := tool.Call(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || key != "k" {
		t.Errorf("key %q, call (-want +got):\n%s", key, diff)
	}
	if _, ok := tools.FromContext(t.Context()); ok || tools.Key(t.Context()) != "" {
		t.Error("a call is found outside of one")
	}
}

// failing makes a tool that fails with err.
func failing(err error, opts ...tools.Option) tools.Tool {
	return tools.New("t", "", func(context.Context, none) (string, error) { return "", err }, opts...)
}

func TestErrors(t *testing.T) {
	plain := errors.New("no such service")
	if _, err := failing(plain).Call(t.Context(), tools.Call{}); err != plain {
		t.Errorf("ordinary error = %v, want it as it is", err)
	}
	if diff := cmp.Diff(tools.Result{Content: "no such service", IsError: true}, tools.ErrorResult(plain)); diff != "" {
		t.Errorf("what the model sees (-want +got):\n%s", diff)
	}
	var stop *tools.StopError
	_, err := failing(fmt.Errorf("deploy: %w", tools.Stop(plain))).Call(t.Context(), tools.Call{})
	if !errors.As(err, &stop) || !errors.Is(err, plain) || err.Error() != "deploy: no such service" {
		t.Errorf("stop = %v", err)
	}
	if tools.Stop(nil) != nil {
		t.Error("Stop(nil) is an error")
	}
	_, err = failing(tools.Stop(fmt.Errorf("pay: %w", &tools.UnknownOutcomeError{Err: plain})), tools.Pure()).Call(t.Context(), tools.Call{})
	if !errors.As(err, &stop) || !errors.Is(err, plain) {
		t.Errorf("a stop around an unknown outcome of a pure tool = %v, the stop is lost", err)
	}
	if long := tools.ErrorResult(errors.New(strings.Repeat("x", 1<<20))); len(long.Content) > tools.DefaultMaxResult+100 {
		t.Errorf("%d bytes of error are shown", len(long.Content))
	}
}

func TestFunctionCannotTell(t *testing.T) {
	cause := errors.New("connection lost")
	own := fmt.Errorf("pay: %w", &tools.UnknownOutcomeError{Err: cause})
	_, err := failing(own).Call(t.Context(), tools.Call{Key: "k"})
	var unknown *tools.UnknownOutcomeError
	if !errors.As(err, &unknown) || unknown.Tool != "t" || unknown.Key != "k" || !errors.Is(err, cause) {
		t.Errorf("unsafe: %v", err)
	}
	unknown = nil
	if _, err := failing(own, tools.Idempotent()).Call(t.Context(), tools.Call{}); errors.As(err, &unknown) || !errors.Is(err, cause) {
		t.Errorf("idempotent: %v, want the cause alone", err)
	}
	if _, err := failing(&tools.UnknownOutcomeError{}).Call(t.Context(), tools.Call{Key: "k"}); err == nil || !strings.Contains(err.Error(), "cannot tell") {
		t.Errorf("without a cause: %v", err)
	}
}

func explode(context.Context, none) (string, error) {
	var m map[string]int
	m["a"] = 1 //lint:ignore SA5000 the panic is what the tests want
	return "", nil
}

type grenade struct{}

func (grenade) MarshalJSON() ([]byte, error) { panic(errors.New("pin\npulled")) }

func TestPanic(t *testing.T) {
	var panicked *tools.PanicError
	_, err := tools.New("t", "", explode).Call(t.Context(), tools.Call{})
	if !errors.As(err, &panicked) || panicked.Tool != "t" {
		t.Fatalf("error = %#v", err)
	}
	if want := "tool t panicked: assignment to entry in nil map"; err.Error() != want || tools.ErrorResult(err).Content != want {
		t.Errorf("message = %q, want %q", err, want)
	}
	first, _, _ := strings.Cut(panicked.Stack, "\n")
	if !strings.Contains(first, "explode") || strings.Contains(panicked.Stack, "debug.Stack") || strings.Contains(panicked.Stack, "await") {
		t.Errorf("stack is not cut to the function:\n%s", panicked.Stack)
	}
	var runtimeError runtime.Error
	if !errors.As(err, &runtimeError) {
		t.Error("the value it panicked with is lost")
	}
	if _, err = returning(grenade{}).Call(t.Context(), tools.Call{}); err == nil || err.Error() != "tool t panicked: pin pulled" {
		t.Errorf("panic of MarshalJSON: %v", err)
	}
	goexit := tools.New("t", "", func(context.Context, none) (string, error) { runtime.Goexit(); return "", nil })
	if _, err = goexit.Call(t.Context(), tools.Call{}); !errors.As(err, &panicked) || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("Goexit: %v", err)
	}
}

// TestDeadline calls tools that do not finish in time: some ignore their context, some return its error.
func TestDeadline(t *testing.T) {
	cause := errors.New("shutting down")
	undo := tools.New("undo", "", nothing[none])
	for _, effect := range []struct {
		name    string
		option  tools.Option
		unknown bool
	}{
		{"pure", tools.Pure(), false},
		{"idempotent", tools.Idempotent(), false},
		{"unsafe", tools.Unsafe(), true},
		{"compensable", tools.Compensable(undo), true},
	} {
		for _, deaf := range []bool{true, false} {
			for _, ending := range []string{"timeout", "deadline of the caller", "cancel"} {
				t.Run(fmt.Sprintf("%s/deaf=%v/%s", effect.name, deaf, ending), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						release := make(chan struct{})
						defer close(release)
						fn := func(ctx context.Context, _ none) (string, error) {
							if deaf {
								<-release
								return "late", nil
							}
							<-ctx.Done()
							return "", ctx.Err()
						}
						opts := []tools.Option{effect.option, tools.Timeout(time.Hour)}
						ctx, cancel := context.WithCancelCause(t.Context())
						defer cancel(nil)
						wantAfter, wantIs := time.Minute, context.Canceled
						switch ending {
						case "timeout":
							opts[1] = tools.Timeout(time.Minute)
							wantIs = context.DeadlineExceeded
						case "deadline of the caller":
							var stop context.CancelFunc
							ctx, stop = context.WithTimeout(ctx, time.Minute)
							defer stop()
							wantIs = context.DeadlineExceeded
						case "cancel":
							time.AfterFunc(time.Minute, func() { cancel(cause) })
						}
						start := time.Now()
						_, err := tools.New("t", "", fn, opts...).Call(ctx, tools.Call{Key: "k"})
						if got := time.Since(start); got != wantAfter {
							t.Errorf("returned after %s of the bubble's time, want %s", got, wantAfter)
						}
						if !errors.Is(err, wantIs) {
							t.Errorf("error = %v, want one that is %v", err, wantIs)
						}
						var unknown *tools.UnknownOutcomeError
						if errors.As(err, &unknown) != effect.unknown || effect.unknown && unknown.Key != "k" {
							t.Errorf("error = %v, unknown outcome should be %v", err, effect.unknown)
						}
						var timeout *tools.TimeoutError
						if got, want := errors.As(err, &timeout), ending == "timeout"; got != want {
							t.Errorf("error = %v, TimeoutError: %v, want %v", err, got, want)
						}
						if ending == "cancel" && deaf && !errors.Is(err, cause) {
							t.Errorf("error = %v, the cause is lost", err)
						}
					})
				})
			}
		}
	}
}

func TestNotCalled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	called := false
	tool := tools.New("t", "", func(context.Context, none) (string, error) { called = true; return "", nil })
	_, err := tool.Call(ctx, tools.Call{})
	var unknown *tools.UnknownOutcomeError
	if called || !errors.Is(err, context.Canceled) || errors.As(err, &unknown) {
		t.Errorf("called %v, error %v: want no call and a known outcome", called, err)
	}
}

func TestReconcile(t *testing.T) {
	type in struct {
		Order string `json:"order"`
	}
	broken := errors.New("no connection")
	charge := func(context.Context, in) (int, error) {
		t.Error("Reconcile called the tool")
		return 0, nil
	}
	tool := tools.New("charge", "", charge, tools.Reconcile(func(ctx context.Context, key string, in in) (int, bool, error) {
		if key != tools.Key(ctx) {
			t.Errorf("key %q, in the context %q", key, tools.Key(ctx))
		}
		switch in.Order {
		case "found":
			return 7, true, nil
		case "panic":
			panic("boom")
		case "broken":
			return 7, true, broken
		}
		return 7, false, nil
	}))
	ask := func(order string) (tools.Outcome, error) {
		return tool.Reconcile(t.Context(), tools.Call{Key: "k1", Arguments: `{"order": "` + order + `"}`})
	}
	if got, err := ask("found"); err != nil || !reflect.DeepEqual(got, tools.Outcome{Happened: true, Result: tools.Result{Content: "7"}}) {
		t.Errorf("found: %v, %v", got, err)
	}
	if got, err := ask("absent"); err != nil || !reflect.DeepEqual(got, tools.Outcome{}) {
		t.Errorf("absent: %v, %v", got, err)
	}
	if got, err := ask("broken"); !errors.Is(err, broken) || got.Happened || !strings.Contains(err.Error(), "k1") {
		t.Errorf("broken: %v, %v", got, err)
	}
	var panicked *tools.PanicError
	if _, err := ask("panic"); !errors.As(err, &panicked) {
		t.Errorf("panic: %v", err)
	}
	var bad *tools.ArgumentError
	if _, err := tool.Reconcile(t.Context(), tools.Call{Arguments: `{}`}); !errors.As(err, &bad) {
		t.Errorf("bad arguments: %v", err)
	}
	if _, err := returning("").Reconcile(t.Context(), tools.Call{}); err == nil || !strings.Contains(err.Error(), "a person must find out") {
		t.Errorf("without a function: %v", err)
	}
}

func TestConcurrentCalls(t *testing.T) {
	tool := queryTool()
	done := make(chan error)
	for i := range 8 {
		go func() {
			got, err := tool.Call(t.Context(), tools.Call{Arguments: fmt.Sprintf(`{"city": "Oslo%d"}`, i)})
			if err == nil && !strings.Contains(got.Content, fmt.Sprintf(`"Oslo%d"`, i)) {
				err = fmt.Errorf("call %d got %s", i, got.Content)
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
