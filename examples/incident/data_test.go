package main

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// TestRecording checks what the tools take for granted: every log is sorted by
// time and lies, as every metric does, in the hours that parseRecorded allows.
func TestRecording(t *testing.T) {
	if got, want := services(), []string{"catalog", "checkout", "gateway", "payments"}; !slices.Equal(got, want) {
		t.Fatalf("services() = %v, want %v", got, want)
	}
	for _, service := range services() {
		b, err := evening.ReadFile("data/logs/" + service + ".log")
		if err != nil {
			t.Fatal(err)
		}
		last := recordingBegin
		for line := range strings.Lines(string(b)) {
			at, level, err := parseLine(line)
			if err != nil {
				t.Fatalf("%s: %v", service, err)
			}
			if at.Before(last) || !at.Before(recordingEnd) {
				t.Fatalf("%s: %s comes after %s, in a recording until %s", service, at, last, recordingEnd)
			}
			if !slices.Contains(levels, level) {
				t.Fatalf("%s: unknown level in %s", service, line)
			}
			last = at
		}
		samples, err := readMetric(t.Context(), service, "p99_ms")
		if err != nil {
			t.Fatal(err)
		}
		if first, n := samples[0].at, len(samples); !first.Equal(recordingBegin) || n != int(recordingEnd.Sub(recordingBegin)/sampling) {
			t.Errorf("%s: %d samples from %s on", service, n, first)
		}
	}
}

func TestParseTime(t *testing.T) {
	tests := []struct{ in, want string }{
		{"2026-03-12T19:42:00Z", "2026-03-12T19:42:00Z"},
		{"2026-03-12T20:42:00+01:00", "2026-03-12T19:42:00Z"},
		{"2026-03-09T10:00:00.5Z", "2026-03-09T10:00:00.5Z"},
		{"19:42", "2026-03-12T19:42:00Z"},
		{"19:42:07", "2026-03-12T19:42:07Z"},
		{"7 pm", ""},
		{"25:00", ""},
		{"2026-03-12", ""},
	}
	for _, test := range tests {
		got, err := parseTime("from", test.in)
		if test.want == "" {
			if err == nil || !strings.Contains(err.Error(), "write it like 2026-03-12T19:42:00Z, or 19:42") {
				t.Errorf("parseTime(%q) = %v, %v; want an error with the formats", test.in, got, err)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339Nano) != test.want {
			t.Errorf("parseTime(%q) = %v, %v; want %s", test.in, got, err, test.want)
		}
	}
}

// TestArguments checks the arguments as a model meets them: each is described,
// and the services that a schema lists are those that exist.
func TestArguments(t *testing.T) {
	for _, in := range []any{SearchLogsArgs{}, QueryMetricsArgs{}, DiffDeploysArgs{}, RollBackArgs{}} {
		typ := reflect.TypeOf(in)
		for i := range typ.NumField() {
			if f := typ.Field(i); f.Tag.Get("json") == "" || f.Tag.Get("jsonschema_description") == "" {
				t.Errorf("%s.%s lacks a name or a description", typ, f.Name)
			}
		}
	}
	all := map[string]tools.Tool{
		`,"contains":"x"`:     tools.New("search_logs", "Search.", searchLogs, tools.Pure()),
		`,"metric":"p99_ms"`:  tools.New("query_metrics", "Query.", queryMetrics, tools.Pure()),
		`,"from":"19:00"`:     tools.New("diff_deploys", "Diff.", diffDeploys, tools.Pure()),
		`,"toVersion":"v1.0"`: tools.New("roll_back", "Roll back.", rollBack, tools.Unsafe(), tools.Reconcile(findRollback)),
	}
	for more, tool := range all {
		for _, service := range services() {
			if err := tool.Validate(`{"service":"` + service + `"` + more + `}`); err != nil {
				t.Error(err)
			}
		}
		err := tool.Validate(`{"service":"billing"` + more + `}`)
		if _, ok := errors.AsType[*tools.ArgumentError](err); !ok {
			t.Errorf("the schema accepts a service that does not exist: %v", err)
		}
	}
}

// TestCancelled checks that no tool goes on once its context has ended.
func TestCancelled(t *testing.T) {
	t.Setenv(stateVariable, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"searchLogs": func() error { _, err := searchLogs(ctx, SearchLogsArgs{Service: "checkout"}); return err },
		"queryMetrics": func() error {
			_, err := queryMetrics(ctx, QueryMetricsArgs{Service: "checkout", Metric: "p99_ms"})
			return err
		},
		"diffDeploys":  func() error { _, err := diffDeploys(ctx, DiffDeploysArgs{}); return err },
		"findRollback": func() error { _, _, err := findRollback(ctx, "k", RollBackArgs{}); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want it to stop", name, err)
		}
	}
}

// wantError fails the test unless err says all of the parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has more than one line", err)
	}
}

// wantBounded fails the test if a result is too long for a model.
func wantBounded(t *testing.T, result any) {
	t.Helper()
	b, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > maxResult {
		t.Errorf("the result has %d bytes of JSON, want at most %d", len(b), maxResult)
	}
}
