package durable_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// declined is a registered error type with what JSON numbers of the protocol could
// not hold.
type declined struct {
	Code   string
	Amount int64
}

func (d *declined) Error() string { return fmt.Sprintf("declined (%s)", d.Code) }

type byValue struct{ N int }

func (b byValue) Error() string { return fmt.Sprint("by value ", b.N) }

var errSoldOut = errors.New("sold out")

var errorDefs = durable.Bundle(
	durable.ErrorType[*declined]("card_declined"),
	durable.ErrorType[byValue]("by_value"),
	durable.ErrorValue("sold_out", errSoldOut),
	durable.ErrorValue("not_exist", fs.ErrNotExist),
)

const huge = 1<<62 + 1 // a float64 would lose its last digit

// failing fails in the way that it is asked to.
var failing = durable.NewActivity("failing", func(ctx context.Context, how string) (string, error) {
	d := &declined{"limit", huge}
	switch how {
	case "wrapped":
		return "", fmt.Errorf("pay: %w", fmt.Errorf("card: %w", d))
	case "two":
		return "", fmt.Errorf("%w, and %w", errSoldOut, d)
	case "joined":
		return "", errors.Join(errors.New("first"), fmt.Errorf("second: %w", d), errSoldOut)
	case "panic":
		panic(fmt.Errorf("deep: %w", d))
	case "unknown":
		return "", durable.Unknown(d)
	case "final":
		return "", fmt.Errorf("never: %w", durable.NonRetriable(d))
	case "file":
		_, err := os.Open(filepath.Join(os.TempDir(), "no", "such", "file"))
		return "", err
	case "value":
		return "", byValue{7}
	}
	return "", d
})

var relay = durable.NewOrchestration("relay", func(ctx *durable.Context, how string) (string, error) {
	return failing.Call(ctx, how)
})

var outer = durable.NewOrchestration("outer", func(ctx *durable.Context, how string) (string, error) {
	s, err := relay.Call(ctx, how)
	if err != nil {
		return s, fmt.Errorf("outer: %w", err)
	}
	return s, nil
})

// seen says what errors.Is and As find.
func seen(err error) string {
	var found []string
	var d *declined
	if errors.As(err, &d) {
		found = append(found, fmt.Sprint("declined ", d.Code, " ", d.Amount == huge))
	}
	var v byValue
	if errors.As(err, &v) {
		found = append(found, v.Error())
	}
	for _, target := range []error{errSoldOut, fs.ErrNotExist, net.ErrClosed} {
		if errors.Is(err, target) {
			found = append(found, target.Error())
		}
	}
	return strings.Join(found, ", ")
}

// What errors.Is and As find before an error is stored they find afterwards, in an
// orchestration, its parent, and a client.
func TestRegisteredErrors(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		rt := d.run(t, durable.Options{}, errorDefs, failing, relay, outer)
		for how, want := range map[string]string{
			"plain":   "declined limit true",
			"wrapped": "declined limit true",
			"two":     "declined limit true, sold out",
			"joined":  "declined limit true, sold out",
			"panic":   "declined limit true",
			"unknown": "declined limit true",
			"final":   "declined limit true",
			"file":    "file does not exist",
			"value":   "by value 7",
		} {
			for _, o := range []*durable.Orchestration[string, string]{relay, outer} {
				_, err := o.Run(t.Context(), rt.Client(), how)
				equal(t, how+" through "+o.Name(), seen(err), want)
				equal(t, how+": outcome unknown", durable.UnknownOutcome(err), how == "unknown")
			}
		}
		_, err := relay.Run(t.Context(), rt.Client(), "plain")
		var f *durable.TaskFailedError
		if !errors.As(err, &f) || f.Type != "card_declined" {
			t.Errorf("type of %v", err)
		}
		equal(t, "text", err.Error(), "orchestration relay failed: activity failing failed: declined (limit)")
	})
}

// A body decides by the value of an error, also when it is replayed, and so do
// retry predicates.
func TestRegisteredErrorsDecide(t *testing.T) {
	type tries struct{ N int }
	counter := durable.NewEntity[tries]("counter")
	spend := durable.Operation(counter, "spend", func(ctx *durable.EntityContext, s *tries, _ string) (int, error) {
		if s.N++; s.N > 1 {
			return 0, fmt.Errorf("spend: %w", &declined{fmt.Sprint("n", s.N), huge})
		}
		return s.N, nil
	})
	try := durable.NewActivity("try", func(ctx context.Context, _ string) (string, error) {
		info, _ := durable.Info(ctx)
		return "", &declined{fmt.Sprint(info.Attempt), huge}
	})
	decide := durable.NewOrchestration("decide", func(ctx *durable.Context, _ string) (string, error) {
		_, err := try.Call(ctx, "", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 9, Retry: func(err error) bool {
			var d *declined
			return errors.As(err, &d) && d.Code != "3"
		}}))
		said := []string{seen(err)}
		for range 2 {
			_, err := spend.Call(ctx, "a", "")
			said = append(said, seen(err))
		}
		return strings.Join(said, "; "), nil
	})
	defs := []durable.Definition{errorDefs, counter, try, decide, failing, relay}
	points := durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) (string, error) {
		said, err := decide.Run(ctx, env.Client(), "")
		if err != nil {
			return "", err
		}
		_, err = relay.Run(ctx, env.Client(), "two")
		return said + " | " + seen(err), nil
	})
	if points < 10 {
		t.Errorf("only %d points", points)
	}
}

// Another process gets the error back if it has the definitions, and otherwise its
// type and message.
func TestRegisteredErrorsThroughSocket(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "hub.db")
	rt, err := durable.OpenWith(t.Context(), url, durable.Options{Logger: quiet}, errorDefs, failing, relay, outer)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for _, defs := range [][]durable.Definition{{errorDefs}, nil} {
		c, err := durable.Connect(t.Context(), url, durable.Options{Logger: quiet}, defs...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = outer.Run(t.Context(), c.Client, "plain")
		want := ""
		if defs != nil {
			want = "declined limit true"
		}
		equal(t, fmt.Sprint("with ", len(defs), " definitions"), seen(err), want)
		var f *durable.TaskFailedError
		if !errors.As(err, &f) || !errors.As(f.Cause, &f) || f.Type != "card_declined" || !strings.Contains(f.Message, "declined (limit)") {
			t.Errorf("with %d definitions: %v", len(defs), err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

type unwritable struct{ C chan int }

func (u *unwritable) Error() string { return "unwritable, but said" }

type picky struct{ N int }

func (p *picky) Error() string { return "picky, but said" }
func (p *picky) UnmarshalJSON(b []byte) error {
	return errors.New("I do not like it")
}

// A value that is lost leaves the message whole and is told once, however far the
// failure travels.
func TestRegisteredErrorLost(t *testing.T) {
	fail := durable.NewActivity("fail", func(ctx context.Context, how string) (string, error) {
		if how == "write" {
			return "", &unwritable{}
		}
		return "", &picky{3}
	})
	child := durable.NewOrchestration("child", func(ctx *durable.Context, how string) (string, error) { return fail.Call(ctx, how) })
	parent := durable.NewOrchestration("parent", func(ctx *durable.Context, how string) (string, error) { return child.Call(ctx, how) })
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet}, fail, child, parent,
		durable.ErrorType[*unwritable]("unwritable"), durable.ErrorType[*picky]("picky"))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for how, want := range map[string]string{
		"write": "unwritable, but said (the error's value is lost: *durable_test.unwritable has no JSON form: json: unsupported type: chan int)",
		"read":  "picky, but said (the error's value is lost: it does not decode into *durable_test.picky: I do not like it)",
	} {
		_, err := parent.Run(t.Context(), rt.Client(), how)
		equal(t, how, err.Error(), "orchestration parent failed: orchestration child failed: activity fail failed: "+want)
		var u *unwritable
		var p *picky
		if errors.As(err, &u) || errors.As(err, &p) {
			t.Error("a value that is lost was found")
		}
	}
}

// A failure of a registered type that this program did not make has no value.
func TestRegisteredErrorForeign(t *testing.T) {
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet}, errorDefs,
		durable.NewOrchestration("foreign", func(ctx *durable.Context, how string) (string, error) {
			f := &history.Failure{Type: "card_declined", Message: "said elsewhere"}
			if how == "odd" {
				f.Properties = map[string]json.RawMessage{"value": json.RawMessage(`{"Code":1}`)}
			}
			return "", f
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for _, how := range []string{"none", "odd"} {
		id, err := rt.Client().Schedule(t.Context(), "foreign", how)
		if err != nil {
			t.Fatal(err)
		}
		s, err := rt.Client().Wait(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if text := s.Err().Error(); !strings.Contains(text, "said elsewhere (the error's value is lost: ") || seen(s.Err()) != "" {
			t.Errorf("%s: %s", how, text)
		}
	}
}

func TestErrorDefinitionsRefused(t *testing.T) {
	panics := func(what string, f func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s: no panic", what)
			}
		}()
		f()
	}
	panics("no name", func() { durable.ErrorType[*declined]("") })
	panics("an interface", func() { durable.ErrorType[net.Error]("net") })
	panics("the engine's", func() { durable.ErrorValue("UnknownOutcome", errSoldOut) })
	panics("nil", func() { durable.ErrorValue("nothing", nil) })
	one := durable.ErrorType[*declined]("one")
	for what, defs := range map[string][]durable.Definition{
		"a name twice": {one, durable.ErrorValue("one", errSoldOut)},
		"a type twice": {one, durable.ErrorType[*declined]("two")},
	} {
		if _, err := durable.Activities(defs...); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := durable.Activities(one, durable.Bundle(one)); err != nil {
		t.Errorf("the same one twice: %v", err)
	}
}

// A chain that is longer than a history holds keeps its beginning.
func TestErrorChainIsBounded(t *testing.T) {
	long := durable.NewOrchestration("long", func(ctx *durable.Context, n int) (string, error) {
		err := error(&declined{"deep", huge})
		for range n {
			err = fmt.Errorf("x: %w", err)
		}
		return "", err
	})
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet, Cached: -1}, errorDefs, long)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = long.Run(ctx, rt.Client(), 20)
	equal(t, "20 deep", seen(err), "declined deep true")
	_, err = long.Run(ctx, rt.Client(), 200)
	var f *durable.TaskFailedError
	if !errors.As(err, &f) || !strings.Contains(f.Message, "declined (deep)") {
		t.Errorf("200 deep: %v", err)
	}
}
