package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSearchLogs(t *testing.T) {
	tests := []struct {
		name  string
		in    SearchLogsArgs
		total int
		first string // time of the first match
		line  string // text of the first line
	}{
		{"the symptom", SearchLogsArgs{Service: "checkout", Contains: "pool exhausted", From: "19:40", To: "20:10"}, 395, "2026-03-12T19:44:06.517Z", "acquire connection: pool exhausted"},
		{"its first minute", SearchLogsArgs{Service: "checkout", Contains: "pool exhausted", From: "2026-03-12T20:44:00+01:00", To: "2026-03-12T19:45:00Z"}, 9, "2026-03-12T19:44:06.517Z", "attempt=1"},
		{"not before", SearchLogsArgs{Service: "checkout", Contains: "pool exhausted", To: "19:44"}, 0, "", ""},
		{"its source", SearchLogsArgs{Service: "payments", Contains: "in_use=4 max=4", Level: "ERROR"}, 463, "2026-03-12T19:44:06.514Z", "acquire connection: pool exhausted"},
		{"what people saw", SearchLogsArgs{Service: "gateway", Contains: "status=504"}, 81, "2026-03-12T19:44:42.931Z", "upstream timeout"},
		{"the new pool", SearchLogsArgs{Service: "payments", Contains: "Database Pool Ready"}, 3, "2026-03-12T19:42:13.149Z", "min=2 max=4"},
		{"red herring", SearchLogsArgs{Service: "catalog", Contains: "thumbnail", Level: "WARN"}, 129, "2026-03-12T19:31:04.362Z", "serving placeholder"},
		{"text and pattern", SearchLogsArgs{Service: "payments", Contains: "slow", Regexp: `wait_ms=\d{3}\b`, To: "19:45"}, 17, "2026-03-12T19:44:07.265Z", "slow connection acquire"},
		{"case of the log", SearchLogsArgs{Service: "gateway", Contains: "tls Handshake"}, 27, "2026-03-12T18:19:14.243Z", "unsupported protocol version"},
		{"level in lower case", SearchLogsArgs{Service: "payments", Level: "error", To: "19:44"}, 0, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := searchLogs(t.Context(), test.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Total != test.total || got.First != test.first {
				t.Errorf("%d matches from %q on, want %d from %q on", got.Total, got.First, test.total, test.first)
			}
			if got.Total > 0 && !strings.Contains(got.Lines[0], test.line) {
				t.Errorf("first line %q lacks %q", got.Lines[0], test.line)
			}
			if want := min(test.total, defaultLines); len(got.Lines) != want || got.Omitted != test.total-want {
				t.Errorf("%d lines, %d omitted; want %d of %d", len(got.Lines), got.Omitted, want, test.total)
			}
			counted := 0
			for _, m := range got.PerMinute {
				counted += m.Count
			}
			if counted != got.Total {
				t.Errorf("the minutes have %d matches, want %d", counted, got.Total)
			}
			wantBounded(t, got)
		})
	}
}

// TestSearchLogsPerMinute follows the symptom as it grows.
func TestSearchLogsPerMinute(t *testing.T) {
	got, err := searchLogs(t.Context(), SearchLogsArgs{Service: "checkout", Contains: "pool exhausted", From: "19:40", To: "19:48"})
	if err != nil {
		t.Fatal(err)
	}
	want := []MinuteCount{{"19:44", 9}, {"19:45", 18}, {"19:46", 13}, {"19:47", 15}}
	if !slices.Equal(got.PerMinute, want) {
		t.Errorf("counts %v, want %v", got.PerMinute, want)
	}
}

// TestSearchLogsTrace follows one order through the services.
func TestSearchLogsTrace(t *testing.T) {
	for service, want := range map[string]int{"gateway": 1, "checkout": 2, "payments": 1, "catalog": 0} {
		got, err := searchLogs(t.Context(), SearchLogsArgs{Service: service, Contains: "trace=12a687784bebd001"})
		if err != nil {
			t.Fatal(err)
		}
		if got.Total != want {
			t.Errorf("%s has %d lines of the trace, want %d", service, got.Total, want)
		}
	}
}

// TestSearchLogsLimits asks for as much as one may.
func TestSearchLogsLimits(t *testing.T) {
	for _, service := range services() {
		got, err := searchLogs(t.Context(), SearchLogsArgs{Service: service, Limit: maxLines})
		if err != nil {
			t.Fatal(err)
		}
		wantBounded(t, got)
		if n := len(got.Lines); n < 40 || n > maxLines || n+got.Omitted != got.Total {
			t.Errorf("%s: %d lines and %d omitted of %d", service, n, got.Omitted, got.Total)
		}
		if len(got.PerMinute) != 120 {
			t.Errorf("%s: counts for %d minutes, want 120", service, len(got.PerMinute))
		}
	}
	got, err := searchLogs(t.Context(), SearchLogsArgs{Service: "checkout", Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Lines) != 3 {
		t.Errorf("%d lines, want 3", len(got.Lines))
	}
}

func TestSearchLogsBadInput(t *testing.T) {
	tests := []struct {
		name string
		in   SearchLogsArgs
		want []string
	}{
		{"no service", SearchLogsArgs{}, []string{`unknown service ""`, "catalog, checkout, gateway, payments"}},
		{"a path", SearchLogsArgs{Service: "../metrics/checkout"}, []string{"unknown service", "catalog, checkout, gateway, payments"}},
		{"regexp", SearchLogsArgs{Service: "checkout", Regexp: "(pool"}, []string{"regexp", "missing closing )", "RE2"}},
		{"level", SearchLogsArgs{Service: "checkout", Level: "FATAL"}, []string{`unknown level "FATAL"`, "INFO, WARN, ERROR"}},
		{"from", SearchLogsArgs{Service: "checkout", From: "yesterday"}, []string{`from "yesterday" is not a time`, "2026-03-12T19:42:00Z", "19:42"}},
		{"to", SearchLogsArgs{Service: "checkout", To: "19.42"}, []string{`to "19.42" is not a time`}},
		{"turned around", SearchLogsArgs{Service: "checkout", From: "20:00", To: "19:00"}, []string{"empty window", "2026-03-12T20:00:00Z", "before to"}},
		{"another day", SearchLogsArgs{Service: "checkout", From: "2026-03-11T19:00:00Z", To: "2026-03-11T20:00:00Z"}, []string{"nothing is recorded", "between 2026-03-12T18:15:00Z and 2026-03-12T20:15:00Z"}},
		{"after the end", SearchLogsArgs{Service: "checkout", From: "20:15", To: "20:30"}, []string{"nothing is recorded"}},
		{"limit", SearchLogsArgs{Service: "checkout", Limit: 201}, []string{"limit 201", "1 to 200"}},
		{"negative limit", SearchLogsArgs{Service: "checkout", Limit: -1}, []string{"limit -1", "1 to 200"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := searchLogs(t.Context(), test.in)
			wantError(t, err, test.want...)
		})
	}
}
