package main

import (
	"fmt"
	"time"
)

// A chore is a line that a service writes again and again, whatever happens.
type chore struct {
	level, service, msg string
	from, to            time.Time
	every               int // seconds between two lines, on average
	pairs               func(b *logBook) []any
}

var chores = []chore{
	{"INFO", "gateway", "config unchanged", begin, end, 120, nil},
	{"WARN", "gateway", "client closed the connection before the answer", begin, end, 75, func(b *logBook) []any {
		return []any{"status", 499, "elapsed_ms", 200 + b.IntN(2400)}
	}},
	{"WARN", "gateway", "rate limit exceeded", crawlerFrom, crawlerTo, 5, func(b *logBook) []any {
		return []any{"status", 429, "client", "198.51.100.23", "agent", "PriceCrawler/1.4", "limit", "20/s"}
	}},
	{"WARN", "gateway", "TLS handshake failed: unsupported protocol version", begin, end, 260, func(b *logBook) []any {
		return []any{"client", fmt.Sprintf("203.0.113.%d", 1+b.IntN(250))}
	}},
	{"INFO", "checkout", "expired carts removed", begin, end, 60, func(b *logBook) []any { return []any{"carts", 20 + b.IntN(90)} }},
	{"WARN", "checkout", "stock reservation conflict, trying again", begin, end, 110, func(b *logBook) []any {
		return []any{"product", 1000 + b.IntN(8000), "attempt", 1}
	}},
	{"WARN", "checkout", "address check unavailable, accepted as entered", begin, end, 330, nil},
	{"INFO", "payments", "settlement batch sent", begin, end, 300, func(b *logBook) []any { return []any{"payments", 900 + b.IntN(400)} }},
	{"WARN", "payments", "fraud rules are older than 15m, using the cached ones", begin, end, 170, nil},
	{"WARN", "payments", "webhook delivery failed, will be tried again", begin, end, 95, func(b *logBook) []any {
		return []any{"merchant", fmt.Sprintf("m-%03d", b.IntN(400)), "status", 502, "attempt", 1 + b.IntN(3)}
	}},
	{"INFO", "catalog", "search index refreshed", begin, end, 90, func(b *logBook) []any { return []any{"documents", 8000 + b.IntN(30)} }},
	{"WARN", "catalog", "slow query", begin, end, 85, func(b *logBook) []any {
		return []any{"statement", "SELECT facet counts", "elapsed_ms", 250 + b.IntN(500)}
	}},
	{"WARN", "catalog", "cache connection refused, will be tried again", cacheRestart, cacheRestart.Add(12 * time.Second), 1, func(b *logBook) []any {
		return []any{"address", "cache.shop.internal:6379"}
	}},
}

// background adds the lines that belong to no request.
func (b *logBook) background() {
	for _, c := range chores {
		for t := c.from; ; {
			t = t.Add(b.span(500*c.every, 1500*c.every))
			if !t.Before(c.to) {
				break
			}
			var pairs []any
			if c.pairs != nil {
				pairs = c.pairs(b)
			}
			b.add(t, c.level, c.service, b.pod(c.service, t), "", c.msg, pairs...)
		}
	}
	for slot := range 3 {
		at := cacheRestart.Add(13*time.Second + b.span(100, 2500))
		b.add(at, "INFO", "catalog", podAt("catalog", slot, at), "", "cache connected", "address", "cache.shop.internal:6379", "uptime_s", 3)
		at = cacheWarm.Add(b.span(100, 4000))
		b.add(at, "INFO", "catalog", podAt("catalog", slot, at), "", "cache warm", "hit_ratio", fmt.Sprintf("0.%d", 93+b.IntN(4)))
	}
}

// rollouts adds what pods say when a deploy replaces them.
func (b *logBook) rollouts() {
	// The sizes of the database pools, by service, as their configurations have them.
	pools := map[string]int{"catalog": 20, "payments": 4}
	for _, service := range []string{"catalog", "payments"} {
		before, after := replicas[service][0], replicas[service][1]
		for slot, at := range after.started {
			pod := after.pods[slot]
			b.add(at.Add(-9*time.Second+b.span(0, 900)), "INFO", service, pod, "", "starting", "version", after.version)
			b.add(at.Add(-7*time.Second+b.span(0, 900)), "INFO", service, pod, "", "database pool ready", "min", 2, "max", pools[service])
			b.add(at.Add(-2*time.Second+b.span(0, 900)), "INFO", service, pod, "", "ready", "version", after.version, "port", 8080)
			b.add(at.Add(b.span(100, 900)), "INFO", service, before.pods[slot], "", "draining", "version", before.version)
			b.add(at.Add(b.span(3000, 9000)), "INFO", service, before.pods[slot], "", "stopped", "version", before.version)
		}
	}
}
