package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of searchLogs. The lines' share of a result leaves room for a count
// for each of the recording's 120 minutes.
const (
	defaultLines  = 20
	maxLines      = 200
	maxLinesBytes = maxResult - 5<<10
)

// levels from harmless to bad.
var levels = []string{"INFO", "WARN", "ERROR"}

// SearchLogsArgs says which lines of a service's log to find.
type SearchLogsArgs struct {
	Service  string `json:"service" jsonschema:"enum=catalog,enum=checkout,enum=gateway,enum=payments" jsonschema_description:"The service whose log is searched."`
	Contains string `json:"contains,omitempty" jsonschema_description:"Text that a line must contain, in upper or lower case: words of the message, a pod, a trace id, key=value."`
	Regexp   string `json:"regexp,omitempty" jsonschema_description:"Regular expression (Go, RE2 syntax) that a line must match; together with contains both must hold."`
	Level    string `json:"level,omitempty" jsonschema:"enum=INFO,enum=WARN,enum=ERROR" jsonschema_description:"Lowest level to return: WARN gives warnings and errors. Default: all."`
	From     string `json:"from,omitempty" jsonschema_description:"Start of the window (inclusive), like 2026-03-12T19:40:00Z or 19:40. Default: start of the recording."`
	To       string `json:"to,omitempty" jsonschema_description:"End of the window (exclusive), like 2026-03-12T20:10:00Z or 20:10. Default: end of the recording."`
	Limit    int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=200" jsonschema_description:"How many lines to return at most, oldest first. The counts cover all matches. Default: 20."`
}

// SearchLogsResult has the first matching lines and the number of all of them.
type SearchLogsResult struct {
	Service   string        `json:"service"`
	Total     int           `json:"total"`           // all matches in the window
	First     string        `json:"first,omitempty"` // time of the first match
	Last      string        `json:"last,omitempty"`  // time of the last match
	PerMinute []MinuteCount `json:"perMinute"`       // minutes with a match, in order
	Lines     []string      `json:"lines"`
	Omitted   int           `json:"omitted,omitempty"` // matches that are counted but not in Lines
}

// MinuteCount is the number of matches in a minute, which is written like 19:44.
type MinuteCount struct {
	Minute string `json:"minute"`
	Count  int    `json:"count"`
}

// searchLogs reads a service's log from start to end and keeps the lines that
// match. It holds one line and the result in memory, never the log.
func searchLogs(ctx context.Context, in SearchLogsArgs) (SearchLogsResult, error) {
	q, err := newLogQuery(in)
	if err != nil {
		return SearchLogsResult{}, err
	}
	name := "data/logs/" + in.Service + ".log"
	f, err := evening.Open(name)
	if err != nil {
		return SearchLogsResult{}, err
	}
	defer f.Close()

	result := SearchLogsResult{Service: in.Service, PerMinute: []MinuteCount{}, Lines: []string{}}
	size, full := 0, false
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if err := ctx.Err(); err != nil {
			return SearchLogsResult{}, err
		}
		line := lines.Text()
		at, level, err := parseLine(line)
		if err != nil {
			return SearchLogsResult{}, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if !at.Before(q.window.to) {
			break // a log is sorted by time
		}
		if !q.matches(at, level, line) {
			continue
		}
		result.count(at)
		// Once a line was left out, later ones are too: what is shown has no gaps.
		if full = full || len(result.Lines) == q.limit; full {
			continue
		}
		encoded, err := json.Marshal(line)
		if err != nil {
			return SearchLogsResult{}, err
		}
		if size += len(encoded) + 1; size > maxLinesBytes {
			full = true
			continue
		}
		result.Lines = append(result.Lines, line)
	}
	if err := lines.Err(); err != nil {
		return SearchLogsResult{}, fmt.Errorf("read %s: %w", name, err)
	}
	result.Omitted = result.Total - len(result.Lines)
	return result, nil
}

// count adds a match at a time that is not before the earlier ones.
func (r *SearchLogsResult) count(at time.Time) {
	stamp := at.Format("2006-01-02T15:04:05.000Z")
	if r.Total == 0 {
		r.First = stamp
	}
	r.Last = stamp
	r.Total++
	minute := at.Format("15:04")
	if n := len(r.PerMinute); n > 0 && r.PerMinute[n-1].Minute == minute {
		r.PerMinute[n-1].Count++
		return
	}
	r.PerMinute = append(r.PerMinute, MinuteCount{Minute: minute, Count: 1})
}

// logQuery is a checked SearchLogsArgs.
type logQuery struct {
	contains string // in lower case
	pattern  *regexp.Regexp
	level    int // index in levels
	window   window
	limit    int
}

func newLogQuery(in SearchLogsArgs) (logQuery, error) {
	q := logQuery{contains: strings.ToLower(in.Contains), limit: in.Limit}
	err := checkService(in.Service)
	if err != nil {
		return logQuery{}, err
	}
	if in.Regexp != "" {
		if q.pattern, err = regexp.Compile(in.Regexp); err != nil {
			return logQuery{}, fmt.Errorf("regexp: %w: use RE2 syntax, or contains for plain text", err)
		}
	}
	if in.Level != "" {
		if q.level = slices.Index(levels, strings.ToUpper(in.Level)); q.level < 0 {
			return logQuery{}, fmt.Errorf("unknown level %q: the levels are %s", in.Level, strings.Join(levels, ", "))
		}
	}
	if q.window, err = parseRecorded(in.From, in.To); err != nil {
		return logQuery{}, err
	}
	if q.limit == 0 {
		q.limit = defaultLines
	}
	if q.limit < 1 || q.limit > maxLines {
		return logQuery{}, fmt.Errorf("limit %d is out of range: choose 1 to %d", in.Limit, maxLines)
	}
	return q, nil
}

func (q logQuery) matches(at time.Time, level, line string) bool {
	return q.window.contains(at) &&
		slices.Index(levels, level) >= q.level &&
		(q.contains == "" || strings.Contains(strings.ToLower(line), q.contains)) &&
		(q.pattern == nil || q.pattern.MatchString(line))
}

// parseLine reads the time and the level with which every line begins.
func parseLine(line string) (at time.Time, level string, err error) {
	stamp, rest, _ := strings.Cut(line, " ")
	level, _, _ = strings.Cut(rest, " ")
	if !strings.HasPrefix(stamp, "time=") || !strings.HasPrefix(level, "level=") {
		return time.Time{}, "", fmt.Errorf("a log line must begin with time= and level=, not %.40q", line)
	}
	at, err = time.Parse(time.RFC3339Nano, strings.TrimPrefix(stamp, "time="))
	return at, strings.TrimPrefix(level, "level="), err
}
