package main

import (
	"bytes"
	"strconv"
	"time"
)

// interval is the time between two samples. A sample describes the interval
// that begins at its time.
const interval = 15 * time.Second

// A column is one metric of a service. Values are counted in 1/10^decimals of
// the metric's unit, so that no floating point is needed.
type column struct {
	name     string
	decimals int
	jitter   int                   // amplitude of the noise
	value    func(t time.Time) int // without noise
}

// Units: latencies in milliseconds, error_rate as a fraction of requests,
// db_connections in use as the mean over the service's three pods. The gateway
// has no database.
var metrics = map[string][]column{
	"gateway": {
		{"requests_per_s", 1, 60, func(t time.Time) int { return 2400 * traffic(t) / 1000 * (1000 + severity(t)*60/1000) / 1000 }},
		{"error_rate", 4, 5, func(t time.Time) int { return 26 + severity(t)*860/1000 }},
		{"p50_ms", 1, 18, func(t time.Time) int { return 462 + coldCache(t)*210/1000 }},
		{"p99_ms", 1, 260, func(t time.Time) int { return 8420 + severity(t)*41500/1000 }},
		{"cpu_percent", 1, 16, func(t time.Time) int { return 310 * traffic(t) / 1000 }},
		// It climbs all evening as the connection table fills: harmless.
		{"memory_mb", 0, 3, func(t time.Time) int { return 412 + 34*(traffic(t)-1000)/180 }},
	},
	"checkout": {
		{"requests_per_s", 1, 18, func(t time.Time) int { return 600 * traffic(t) / 1000 }},
		{"error_rate", 4, 6, func(t time.Time) int { return 31 + severity(t)*3400/1000 }},
		{"p50_ms", 1, 90, func(t time.Time) int { return 4180 + severity(t)*20100/1000 }},
		{"p99_ms", 1, 240, func(t time.Time) int { return 8610 + severity(t)*46800/1000 }},
		{"cpu_percent", 1, 14, func(t time.Time) int { return 264 * traffic(t) / 1000 }},
		{"memory_mb", 0, 5, func(t time.Time) int { return 688 + severity(t)*240/1000 }},
		{"db_connections", 1, 4, func(t time.Time) int { return 61 * traffic(t) / 1000 }},
	},
	"payments": {
		{"requests_per_s", 1, 18, func(t time.Time) int { return 600 * traffic(t) / 1000 * (1000 + severity(t)*450/1000) / 1000 }},
		{"error_rate", 4, 5, func(t time.Time) int { return 18 + severity(t)*4550/1000 }},
		{"p50_ms", 1, 70, func(t time.Time) int { return 3120 + severity(t)*15400/1000 }},
		{"p99_ms", 1, 170, func(t time.Time) int { return 6240 + severity(t)*17300/1000 }},
		// The pods wait for connections instead of working.
		{"cpu_percent", 1, 14, func(t time.Time) int { return 352*traffic(t)/1000 - severity(t)*150/1000 }},
		{"memory_mb", 0, 4, func(t time.Time) int { return 534 + severity(t)*96/1000 }},
		{"db_connections", 1, 4, poolInUse},
	},
	"catalog": {
		{"requests_per_s", 1, 45, func(t time.Time) int { return 1800 * traffic(t) / 1000 }},
		{"error_rate", 4, 4, func(time.Time) int { return 14 }},
		{"p50_ms", 1, 14, func(t time.Time) int { return 381 + coldCache(t)*560/1000 }},
		{"p99_ms", 1, 55, func(t time.Time) int { return 1420 + coldCache(t)*3900/1000 }},
		// The new version renders larger pages: some more work from 19:30 on.
		{"cpu_percent", 1, 14, func(t time.Time) int {
			cpu := 405 * traffic(t) / 1000
			if !t.Before(catalogDeployed) {
				cpu += 74
			}
			return cpu
		}},
		{"memory_mb", 0, 5, func(time.Time) int { return 902 }},
		{"db_connections", 1, 4, func(t time.Time) int { return 48*traffic(t)/1000 + coldCache(t)*130/1000 }},
	},
}

// poolInUse is the mean number of database connections that a payments pod
// uses. Until the last old pod goes, the old ones take what the new ones cannot.
func poolInUse(t time.Time) int {
	if last := replicas["payments"][1].started[2]; !t.Before(last) {
		return 40
	}
	return 76 * traffic(t) / 1000
}

// writeMetrics adds metrics/<service>.csv for every service.
func writeMetrics(files map[string][]byte) {
	for service, columns := range metrics {
		r := newRand("metrics/" + service)
		var b bytes.Buffer
		b.WriteString("time")
		for _, c := range columns {
			b.WriteString("," + c.name)
		}
		b.WriteByte('\n')
		for t := begin; t.Before(end); t = t.Add(interval) {
			b.WriteString(t.Format(time.RFC3339))
			for _, c := range columns {
				v := c.value(t) + noise(r, c.jitter)
				// Four connections are all there are.
				if service == "payments" && c.name == "db_connections" && c.value(t) == 40 {
					v = min(v, 40)
				}
				b.WriteString("," + decimal(max(v, 0), c.decimals))
			}
			b.WriteByte('\n')
		}
		files["metrics/"+service+".csv"] = b.Bytes()
	}
}

// decimal renders v/10^decimals. v is not negative.
func decimal(v, decimals int) string {
	s := strconv.Itoa(v)
	if decimals == 0 {
		return s
	}
	for len(s) <= decimals {
		s = "0" + s
	}
	return s[:len(s)-decimals] + "." + s[len(s)-decimals:]
}
