package main

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// The evening's logs, metrics and deploy records. They are part of the program,
// so that it works from any directory; gen writes them.
//
//go:embed data
var evening embed.FS

// The recording's hours. A tool that is asked about another time says so,
// because an empty answer reads as "nothing happened".
var (
	recordingDay   = time.Date(2026, time.March, 12, 0, 0, 0, 0, time.UTC)
	recordingBegin = recordingDay.Add(18*time.Hour + 15*time.Minute)
	recordingEnd   = recordingDay.Add(20*time.Hour + 15*time.Minute)
)

// maxResult bounds what a tool gives back, in bytes of JSON: a model reads
// all of it on every later turn.
const maxResult = 16 << 10

// services lists the services, sorted: those that have a log.
func services() []string {
	names, err := fs.Glob(evening, "data/logs/*.log")
	if err != nil {
		panic(err) // only a malformed pattern does this
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(path.Base(name), ".log")
	}
	return names
}

// checkService gives an error that lists the services unless name is one.
func checkService(name string) error {
	all := services()
	if slices.Contains(all, name) {
		return nil
	}
	return fmt.Errorf("unknown service %q: the services are %s", name, strings.Join(all, ", "))
}

// A window is a span of time: from is in it, to is not.
type window struct{ from, to time.Time }

// contains reports whether t lies in the window.
func (w window) contains(t time.Time) bool { return !t.Before(w.from) && t.Before(w.to) }

// parseWindow reads the two ends of a window. An empty one stands for the
// given default.
func parseWindow(from, to string, whole window) (window, error) {
	w := whole
	var err error
	if from != "" {
		if w.from, err = parseTime("from", from); err != nil {
			return window{}, err
		}
	}
	if to != "" {
		if w.to, err = parseTime("to", to); err != nil {
			return window{}, err
		}
	}
	if !w.from.Before(w.to) {
		return window{}, fmt.Errorf("empty window: from (%s) must be before to (%s)", w.from.Format(time.RFC3339), w.to.Format(time.RFC3339))
	}
	return w, nil
}

// parseRecorded is parseWindow for logs and metrics: the window must touch the
// hours that were recorded.
func parseRecorded(from, to string) (window, error) {
	w, err := parseWindow(from, to, window{recordingBegin, recordingEnd})
	if err != nil {
		return window{}, err
	}
	if !w.from.Before(recordingEnd) || !recordingBegin.Before(w.to) {
		return window{}, fmt.Errorf("nothing is recorded from %s to %s: choose a window between %s and %s",
			w.from.Format(time.RFC3339), w.to.Format(time.RFC3339), recordingBegin.Format(time.RFC3339), recordingEnd.Format(time.RFC3339))
	}
	return w, nil
}

// parseTime reads a full time, or a time of the recorded day.
func parseTime(field, s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return recordingDay.Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q is not a time: write it like %s, or 19:42 for a time (UTC) on %s",
		field, s, "2026-03-12T19:42:00Z", recordingDay.Format(time.DateOnly))
}
