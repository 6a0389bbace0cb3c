package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A logBook collects the lines of all services. They are drawn together, one
// request after the other, so that a trace id leads through the services.
type logBook struct {
	*rand.Rand
	lines map[string][]logLine
}

type logLine struct {
	at   time.Time
	text string
}

// add appends a line to a service's log. pairs are keys and values in turn.
func (b *logBook) add(at time.Time, level, service, pod, trace, msg string, pairs ...any) {
	var s strings.Builder
	fmt.Fprintf(&s, "time=%s level=%s service=%s pod=%s", at.Format("2006-01-02T15:04:05.000Z"), level, service, pod)
	if trace != "" {
		s.WriteString(" trace=" + trace)
	}
	s.WriteString(" msg=" + quoted(msg))
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&s, " %s=%s", pairs[i], quoted(fmt.Sprint(pairs[i+1])))
	}
	b.lines[service] = append(b.lines[service], logLine{at, s.String()})
}

// quoted quotes a logfmt value where it must be.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " =\"") {
		return strconv.Quote(s)
	}
	return s
}

// pod draws the pod that serves a request at t.
func (b *logBook) pod(service string, t time.Time) string { return podAt(service, b.IntN(3), t) }

// span draws a duration in [from, to) milliseconds.
func (b *logBook) span(from, to int) time.Duration {
	return time.Duration(from+b.IntN(to-from)) * time.Millisecond
}

// chance is true in permille of 1000 cases.
func (b *logBook) chance(permille int) bool { return b.IntN(1000) < permille }

func (b *logBook) trace() string { return fmt.Sprintf("%016x", b.Uint64()) }

func ms(d time.Duration) int64 { return d.Milliseconds() }

// writeLogs adds logs/<service>.log for every service. The services log a
// sample, one trace in two hundred, which is about one request a second.
func writeLogs(files map[string][]byte) {
	b := &logBook{newRand("logs"), make(map[string][]logLine)}
	for t := begin; ; {
		t = t.Add(b.span(100, 2*870_000/traffic(t)))
		if !t.Before(end) {
			break
		}
		if b.chance(250) {
			b.placeOrder(t)
		} else {
			b.browse(t)
		}
	}
	b.background()
	b.rollouts()
	for service, lines := range b.lines {
		slices.SortStableFunc(lines, func(x, y logLine) int { return x.at.Compare(y.at) })
		var out bytes.Buffer
		for _, l := range lines {
			// What a request that came before the end logs after it is left out.
			if l.at.Before(end) {
				out.WriteString(l.text)
				out.WriteByte('\n')
			}
		}
		files["logs/"+service+".log"] = out.Bytes()
	}
}

var products = []string{"lamp", "kettle", "desk", "chair", "rug", "mirror", "shelf", "vase", "clock", "blanket", "mug", "stool"}

// browse is a request for a page of the catalog.
func (b *logBook) browse(t time.Time) {
	trace, pod := b.trace(), b.pod("catalog", t)
	took := b.span(18, 70)
	if b.chance(20) {
		took += b.span(40, 90)
	}
	at := t.Add(b.span(1, 4))
	product := products[b.IntN(len(products))]
	id := 1000 + b.IntN(8000)
	if cold := coldCache(t); b.chance(cold * 8 / 10) {
		took += b.span(40, 420)
		b.add(at, "WARN", "catalog", pod, trace, "cache miss, reading from the database", "key", fmt.Sprintf("product:%d", id))
	}
	if within(t, thumbnailsFrom, thumbnailsTo) && b.chance(550) {
		b.add(at.Add(took/2), "WARN", "catalog", pod, trace, "thumbnail not on the image host yet, serving placeholder", "product", id, "host", "img2.shop.example")
	}
	path := fmt.Sprintf("/products/%d", id)
	if b.chance(400) {
		path = "/search"
		b.add(at.Add(took), "INFO", "catalog", pod, trace, "search", "q", product, "hits", b.IntN(140), "elapsed_ms", ms(took))
	} else {
		b.add(at.Add(took), "INFO", "catalog", pod, trace, "product page", "product", id, "kind", product, "elapsed_ms", ms(took))
	}
	b.respond(t, took+b.span(3, 12), trace, "GET", path, 200)
}

// respond is the gateway's line about a request that came at t.
func (b *logBook) respond(t time.Time, took time.Duration, trace, method, path string, status int) {
	pod := b.pod("gateway", t)
	const limit = 5 * time.Second // upstream.timeout in the gateway's configuration
	if took >= limit {
		b.add(t.Add(limit), "ERROR", "gateway", pod, trace, "upstream timeout", "method", method, "path", path, "status", 504, "upstream", "checkout", "elapsed_ms", ms(limit))
		return
	}
	level := "INFO"
	if status >= 500 {
		level = "ERROR"
	}
	b.add(t.Add(took), level, "gateway", pod, trace, "request", "method", method, "path", path, "status", status, "elapsed_ms", ms(took))
}

// placeOrder is a request to buy: gateway, checkout, payments. The checkout
// tries a payment twice, with 200 ms between (payments.attempts and
// payments.backoff in its configuration).
func (b *logBook) placeOrder(t time.Time) {
	trace, pod := b.trace(), b.pod("checkout", t)
	order := fmt.Sprintf("ord-%06d", 200_000+b.IntN(700_000))
	at := t.Add(b.span(2, 6))
	b.add(at, "INFO", "checkout", pod, trace, "cart priced", "order", order, "items", 1+b.IntN(6), "elapsed_ms", 8+b.IntN(30))
	if b.chance(24) {
		at = at.Add(350 * time.Millisecond)
		b.add(at, "WARN", "checkout", pod, trace, "shipping quote: context deadline exceeded, using flat rate", "order", order, "elapsed_ms", 350)
	}
	at = at.Add(b.span(40, 110))
	status := 201
	for attempt := 1; ; attempt++ {
		took, outcome := b.authorize(at, trace, order)
		at = at.Add(took)
		if outcome != poolExhausted {
			if outcome == declined {
				status = 402
				b.add(at, "INFO", "checkout", pod, trace, "order not placed: card declined", "order", order, "elapsed_ms", ms(at.Sub(t)))
			} else {
				at = at.Add(b.span(10, 60))
				b.add(at, "INFO", "checkout", pod, trace, "order placed", "order", order, "attempts", attempt, "elapsed_ms", ms(at.Sub(t)))
			}
			break
		}
		if attempt == 2 {
			// The queue for the pods' threads adds to the wait for a connection.
			at = at.Add(b.span(100, 1500))
			status = 503
			b.add(at, "ERROR", "checkout", pod, trace, "place order: authorize payment: timeout: acquire connection: pool exhausted", "order", order, "upstream", "payments", "attempts", attempt, "elapsed_ms", ms(at.Sub(t)))
			break
		}
		b.add(at, "WARN", "checkout", pod, trace, "authorize payment: timeout: acquire connection: pool exhausted, trying again", "order", order, "upstream", "payments", "attempt", attempt, "elapsed_ms", ms(took))
		at = at.Add(200 * time.Millisecond)
	}
	b.respond(t, at.Sub(t)+b.span(3, 12), trace, "POST", "/checkout/orders", status)
}

// The outcomes of a payment's authorization.
type outcome int

const (
	authorized outcome = iota
	declined
	poolExhausted
)

// authorize is a call of payments at t. It returns how long it took.
func (b *logBook) authorize(t time.Time, trace, order string) (time.Duration, outcome) {
	pod := b.pod("payments", t)
	amount := fmt.Sprintf("%d.%02d", 8+b.IntN(240), b.IntN(100))
	took := b.span(230, 420)
	if b.chance(15) {
		took += b.span(100, 260)
	}
	if sev := severity(t); sev > 0 {
		waiting := 3 + sev*34/1000 + b.IntN(8)
		if b.chance(200 + sev*320/1000) {
			const limit = 2 * time.Second // db.pool.acquire_timeout in the configuration
			b.add(t.Add(limit), "ERROR", "payments", pod, trace, "acquire connection: pool exhausted", "order", order, "wait_ms", ms(limit), "in_use", 4, "max", 4, "waiting", waiting)
			return limit + b.span(2, 9), poolExhausted
		}
		wait := b.span(150, 400+sev*1500/1000)
		b.add(t.Add(wait), "WARN", "payments", pod, trace, "slow connection acquire", "order", order, "wait_ms", ms(wait), "in_use", 4, "max", 4, "waiting", waiting)
		took += wait
	}
	if b.chance(28) {
		b.add(t.Add(took), "INFO", "payments", pod, trace, "payment declined by the issuer", "order", order, "amount", amount, "currency", "EUR", "code", "do_not_honor", "elapsed_ms", ms(took))
		return took + b.span(2, 9), declined
	}
	b.add(t.Add(took), "INFO", "payments", pod, trace, "payment authorized", "order", order, "amount", amount, "currency", "EUR", "elapsed_ms", ms(took))
	return took + b.span(2, 9), authorized
}
