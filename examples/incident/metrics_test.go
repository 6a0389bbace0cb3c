package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestQueryMetricsLeftNormal finds in the metrics what happened and what only
// happened at about the same time.
func TestQueryMetricsLeftNormal(t *testing.T) {
	at := func(clock string) string { return "2026-03-12T" + clock + "Z" }
	tests := []struct {
		service, metric string
		want            []Excursion
	}{
		{"payments", "p99_ms", []Excursion{{From: at("19:44:00"), Extreme: 2380.7}}},
		{"checkout", "p99_ms", []Excursion{{From: at("19:44:00"), Extreme: 5577.3}}},
		{"checkout", "error_rate", []Excursion{{From: at("19:44:00"), Extreme: 0.3441}}},
		{"gateway", "error_rate", []Excursion{{From: at("19:44:00"), Extreme: 0.0891}}},
		// The last old pod goes just before the trouble starts.
		{"payments", "db_connections", []Excursion{{From: at("19:43:45"), Extreme: 3.4}}},
		{"checkout", "db_connections", []Excursion{}},
		{"checkout", "requests_per_s", []Excursion{}},
		// Red herrings: the restart of the cache passes, the new catalog version works more.
		{"catalog", "p99_ms", []Excursion{{From: at("19:38:00"), To: at("19:40:30"), Extreme: 533.1}}},
		{"catalog", "cpu_percent", []Excursion{{From: at("19:31:00"), Extreme: 56.5}}},
		{"catalog", "error_rate", []Excursion{}},
	}
	for _, test := range tests {
		t.Run(test.service+" "+test.metric, func(t *testing.T) {
			got, err := queryMetrics(t.Context(), QueryMetricsArgs{Service: test.service, Metric: test.metric})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.LeftNormal, test.want) {
				t.Errorf("left normal %v, want %v (band %v)", got.LeftNormal, test.want, got.Normal)
			}
			wantBounded(t, got)
		})
	}
}

func TestQueryMetricsPoints(t *testing.T) {
	got, err := queryMetrics(t.Context(), QueryMetricsArgs{Service: "payments", Metric: "p99_ms", From: "19:43", To: "19:46"})
	if err != nil {
		t.Fatal(err)
	}
	want := []MetricPoint{
		{"2026-03-12T19:43:00Z", 624.1, 637.4},
		{"2026-03-12T19:44:00Z", 1069.8, 1245.8},
		{"2026-03-12T19:45:00Z", 1557.375, 1728.5},
	}
	if !slices.Equal(got.Points, want) {
		t.Errorf("points %v, want %v", got.Points, want)
	}
	if got.Min != 603.1 || got.Max != 1728.5 || got.Mean != 1083.7583 {
		t.Errorf("min %v, max %v, mean %v", got.Min, got.Max, got.Mean)
	}
}

// TestQueryMetricsWindow checks windows beside, inside and across the catalog's
// excursion from 19:38:00 to 19:40:30.
func TestQueryMetricsWindow(t *testing.T) {
	tests := []struct {
		from, to, step string
		points, left   int
	}{
		{"", "", "1m", 120, 1},
		{"18:00", "21:00", "", 120, 1}, // as far as recorded
		{"19:38:30", "19:39", "15s", 2, 1},
		{"19:30", "19:38", "1m0s", 8, 0},
		{"19:30", "19:38:15", "", 9, 1},
		{"19:40:30", "20:00", "5m", 4, 0},
		{"19:40:15", "20:00", "1h", 1, 1},
	}
	for _, test := range tests {
		got, err := queryMetrics(t.Context(), QueryMetricsArgs{Service: "catalog", Metric: "p99_ms", From: test.from, To: test.to, Step: test.step})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Points) != test.points || len(got.LeftNormal) != test.left {
			t.Errorf("%s to %s by %s: %d points and %v, want %d and %d", test.from, test.to, test.step, len(got.Points), got.LeftNormal, test.points, test.left)
		}
	}
}

func TestExcursions(t *testing.T) {
	at := func(i int) string { return recordingBegin.Add(time.Duration(i) * sampling).Format(time.RFC3339) }
	tests := []struct {
		values string // a digit a sample; the band is 4 to 6
		want   []Excursion
	}{
		{"5555555555", nil},
		{"5599955555", nil},                                                         // too short
		{"5579785555", []Excursion{{at(2), at(6), 9}}},                              // and back
		{"5578555787", nil},                                                         // two spikes
		{"5557777", []Excursion{{From: at(3), Extreme: 7}}},                         // for good
		{"7777555597", []Excursion{{at(0), at(4), 7}}},                              // from the start
		{"5577775755555", []Excursion{{at(2), at(8), 7}}},                           // a short return is none
		{"5511113355555", []Excursion{{at(2), at(8), 1}}},                           // below
		{"777755557777", []Excursion{{at(0), at(4), 7}, {From: at(8), Extreme: 7}}}, // twice
	}
	for _, test := range tests {
		var samples []sample
		for i, c := range test.values {
			samples = append(samples, sample{recordingBegin.Add(time.Duration(i) * sampling), float64(c - '0')})
		}
		got := excursions(samples, Band{4, 6}, window{recordingBegin, recordingEnd})
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.values, got, test.want)
		}
	}
}

func TestQueryMetricsBadInput(t *testing.T) {
	tests := []struct {
		name string
		in   QueryMetricsArgs
		want []string
	}{
		{"service", QueryMetricsArgs{Service: "billing", Metric: "p99_ms"}, []string{`unknown service "billing"`, "catalog, checkout, gateway, payments"}},
		{"metric", QueryMetricsArgs{Service: "checkout", Metric: "latency"}, []string{`unknown metric "latency" of checkout`, "requests_per_s, error_rate, p50_ms, p99_ms, cpu_percent, memory_mb, db_connections"}},
		{"time is no metric", QueryMetricsArgs{Service: "checkout", Metric: "time"}, []string{"unknown metric"}},
		{"no database", QueryMetricsArgs{Service: "gateway", Metric: "db_connections"}, []string{`unknown metric "db_connections" of gateway`}},
		{"time", QueryMetricsArgs{Service: "checkout", Metric: "p99_ms", From: "7pm"}, []string{`from "7pm" is not a time`}},
		{"step", QueryMetricsArgs{Service: "checkout", Metric: "p99_ms", Step: "20s"}, []string{`step "20s" is not a multiple of 15s`}},
		{"step of nothing", QueryMetricsArgs{Service: "checkout", Metric: "p99_ms", Step: "0s"}, []string{"15s, 1m or 5m"}},
		{"step without unit", QueryMetricsArgs{Service: "checkout", Metric: "p99_ms", Step: "60"}, []string{"15s, 1m or 5m"}},
		{"too many points", QueryMetricsArgs{Service: "checkout", Metric: "p99_ms", Step: "15s"}, []string{"more than 120 points", "step of 1m0s or more"}},
		{"between samples", QueryMetricsArgs{Service: "checkout", Metric: "p99_ms", From: "19:42:01", To: "19:42:14"}, []string{"no sample", "15s apart"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := queryMetrics(t.Context(), test.in)
			wantError(t, err, test.want...)
			if strings.Contains(err.Error(), "data/") {
				t.Errorf("error %q names a file that a model cannot open", err)
			}
		})
	}
}
