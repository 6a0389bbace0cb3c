package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sampling is the time between two samples of a metric.
const sampling = 15 * time.Second

// maxPoints bounds the points of a result, which then stays below maxResult.
const maxPoints = 120

// What is normal is learnt from the recording's first hour, before any of the
// evening's deploys: the mean and bandSigmas standard deviations to both
// sides. A metric is outside after outsideFor samples in a row (one minute), so
// that a single spike is none, and inside again after as many.
const (
	baseline   = time.Hour
	bandSigmas = 5
	outsideFor = 4
)

// QueryMetricsArgs says which metric to read.
type QueryMetricsArgs struct {
	Service string `json:"service" jsonschema:"enum=catalog,enum=checkout,enum=gateway,enum=payments" jsonschema_description:"The service that the metric belongs to."`
	Metric  string `json:"metric" jsonschema_description:"One of requests_per_s, error_rate (fraction of requests), p50_ms, p99_ms (latency), cpu_percent, memory_mb, db_connections (in use, mean per pod; not for gateway)."`
	From    string `json:"from,omitempty" jsonschema_description:"Start of the window (inclusive), like 2026-03-12T19:30:00Z or 19:30. Default: start of the recording."`
	To      string `json:"to,omitempty" jsonschema_description:"End of the window (exclusive), like 2026-03-12T20:00:00Z or 20:00. Default: end of the recording."`
	Step    string `json:"step,omitempty" jsonschema_description:"Time between two returned points, a multiple of 15s, like 15s, 1m or 5m. At most 120 points are returned. Default: 1m."`
}

// QueryMetricsResult is a metric over a window, and when it was not normal.
type QueryMetricsResult struct {
	Service string        `json:"service"`
	Metric  string        `json:"metric"`
	Step    string        `json:"step"`
	Points  []MetricPoint `json:"points"`
	Min     float64       `json:"min"`  // over the samples of the window, as Max and Mean
	Max     float64       `json:"max"`  //
	Mean    float64       `json:"mean"` //
	Normal  Band          `json:"normal"`
	// LeftNormal has the spans outside the normal band that touch the window,
	// in order. They are found in the whole recording: From may be earlier
	// than the window.
	LeftNormal []Excursion `json:"leftNormal"`
}

// MetricPoint sums up the samples from Time on, for one step.
type MetricPoint struct {
	Time string  `json:"time"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// Band is the range in which a metric normally lies.
type Band struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Excursion is a span of time in which a metric was outside its band.
type Excursion struct {
	From    string  `json:"from"`         // first sample outside
	To      string  `json:"to,omitempty"` // first sample inside again; empty: it did not come back
	Extreme float64 `json:"extreme"`      // the value farthest from the band
}

// sample is one row of a metric's file.
type sample struct {
	at    time.Time
	value float64
}

// queryMetrics reads a metric of a service, aggregates it and compares it with
// what is normal for it.
func queryMetrics(ctx context.Context, in QueryMetricsArgs) (QueryMetricsResult, error) {
	if err := checkService(in.Service); err != nil {
		return QueryMetricsResult{}, err
	}
	w, err := parseRecorded(in.From, in.To)
	if err != nil {
		return QueryMetricsResult{}, err
	}
	w.from, w.to = later(w.from, recordingBegin), earlier(w.to, recordingEnd)
	step, err := parseStep(in.Step, w)
	if err != nil {
		return QueryMetricsResult{}, err
	}
	samples, err := readMetric(ctx, in.Service, in.Metric)
	if err != nil {
		return QueryMetricsResult{}, err
	}
	inWindow := make([]sample, 0, len(samples))
	for _, s := range samples {
		if w.contains(s.at) {
			inWindow = append(inWindow, s)
		}
	}
	if len(inWindow) == 0 {
		return QueryMetricsResult{}, fmt.Errorf("no sample from %s to %s: samples are %s apart, choose a longer window", w.from.Format(time.RFC3339), w.to.Format(time.RFC3339), sampling)
	}
	band := normalBand(samples)
	result := QueryMetricsResult{
		Service: in.Service, Metric: in.Metric, Step: step.String(),
		Points: aggregate(inWindow, w.from, step),
		Normal: Band{Low: rounded(band.Low), High: rounded(band.High)}, LeftNormal: excursions(samples, band, w),
	}
	low, high, mean := summary(inWindow)
	result.Min, result.Max, result.Mean = rounded(low), rounded(high), rounded(mean)
	return result, nil
}

// parseStep reads the step and checks that the window has few enough of them.
func parseStep(s string, w window) (time.Duration, error) {
	step := time.Minute
	if s != "" {
		var err error
		if step, err = time.ParseDuration(s); err != nil || step <= 0 || step%sampling != 0 {
			return 0, fmt.Errorf("step %q is not a multiple of %s: write it like 15s, 1m or 5m", s, sampling)
		}
	}
	if span := w.to.Sub(w.from); span > maxPoints*step {
		least := (span/maxPoints + sampling - 1).Truncate(sampling)
		return 0, fmt.Errorf("step %s gives more than %d points for %s: choose a step of %s or more, or a shorter window", step, maxPoints, span, least)
	}
	return step, nil
}

// readMetric reads one column of a service's metrics.
func readMetric(ctx context.Context, service, metric string) ([]sample, error) {
	name := "data/metrics/" + service + ".csv"
	f, err := evening.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := csv.NewReader(f)
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	column := slices.Index(header, metric)
	if column < 1 {
		return nil, fmt.Errorf("unknown metric %q of %s: its metrics are %s", metric, service, strings.Join(header[1:], ", "))
	}
	var samples []sample
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return samples, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at, err := time.Parse(time.RFC3339, row[0])
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		value, err := strconv.ParseFloat(row[column], 64)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		samples = append(samples, sample{at, value})
	}
}

// aggregate sums samples up in steps counted from start.
func aggregate(samples []sample, start time.Time, step time.Duration) []MetricPoint {
	points := make([]MetricPoint, 0, maxPoints)
	for len(samples) > 0 {
		k := samples[0].at.Sub(start) / step
		n := 0
		for n < len(samples) && samples[n].at.Sub(start)/step == k {
			n++
		}
		_, high, mean := summary(samples[:n])
		points = append(points, MetricPoint{Time: start.Add(k * step).Format(time.RFC3339), Mean: rounded(mean), Max: rounded(high)})
		samples = samples[n:]
	}
	return points
}

// summary computes over at least one sample.
func summary(samples []sample) (low, high, mean float64) {
	low, high = math.Inf(1), math.Inf(-1)
	sum := 0.0
	for _, s := range samples {
		low, high, sum = min(low, s.value), max(high, s.value), sum+s.value
	}
	return low, high, sum / float64(len(samples))
}

// normalBand learns the band from the first hour. No metric is negative.
func normalBand(samples []sample) Band {
	until := recordingBegin.Add(baseline)
	n, _ := slices.BinarySearchFunc(samples, until, func(s sample, t time.Time) int { return s.at.Compare(t) })
	_, _, mean := summary(samples[:n])
	variance := 0.0
	for _, s := range samples[:n] {
		variance += (s.value - mean) * (s.value - mean) / float64(n)
	}
	width := bandSigmas * math.Sqrt(variance)
	return Band{Low: max(0, mean-width), High: mean + width}
}

// excursions finds the spans outside the band that touch the window.
func excursions(samples []sample, band Band, w window) []Excursion {
	beyond := func(v float64) float64 { return max(v-band.High, band.Low-v) }
	found := []Excursion{}
	outside := false
	begin, extreme, streak := 0, 0, 0 // begin and extreme are indexes
	add := func(until int) {
		e := Excursion{From: samples[begin].at.Format(time.RFC3339), Extreme: rounded(samples[extreme].value)}
		to := w.to
		if until < len(samples) {
			to = samples[until].at
			e.To = to.Format(time.RFC3339)
		}
		if samples[begin].at.Before(w.to) && w.from.Before(to) {
			found = append(found, e)
		}
	}
	for i, s := range samples {
		// The streak counts samples on the other side than the current one.
		if (beyond(s.value) > 0) == outside {
			streak = 0
		} else {
			streak++
		}
		if outside && beyond(s.value) > beyond(samples[extreme].value) {
			extreme = i
		}
		if streak < outsideFor {
			continue
		}
		if outside {
			add(i - streak + 1)
		} else {
			begin, extreme = i-streak+1, i-streak+1
			for k := begin; k <= i; k++ {
				if beyond(samples[k].value) > beyond(samples[extreme].value) {
					extreme = k
				}
			}
		}
		outside, streak = !outside, 0
	}
	if outside {
		add(len(samples))
	}
	return found
}

// rounded keeps four decimals, as many as the data has.
func rounded(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
