package wire

import (
	"net/http"
	"strconv"
	"time"
)

// retryAfter returns how long the server asks to wait, 0 if it does not say:
// Retry-After in seconds or as a date, retry-after-ms, or the later one of OpenAI's
// x-ratelimit-reset headers whose limit is used up.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return seconds(ms / 1000)
	}
	if text := h.Get("Retry-After"); text != "" {
		if s, err := strconv.ParseFloat(text, 64); err == nil {
			return seconds(s)
		}
		if at, err := http.ParseTime(text); err == nil {
			return max(0, at.Sub(now))
		}
	}
	var wait time.Duration
	for _, what := range []string{"Requests", "Tokens"} {
		if h.Get("X-Ratelimit-Remaining-"+what) != "0" {
			continue
		}
		reset := h.Get("X-Ratelimit-Reset-" + what)
		if d, err := time.ParseDuration(reset); err == nil { // OpenAI: "1s", "6m0s"
			wait = max(wait, d)
		} else if s, err := strconv.ParseFloat(reset, 64); err == nil && s < 1e6 { // not a date
			wait = max(wait, seconds(s))
		}
	}
	return wait
}

// seconds is a duration of s seconds, at most a year, so that a wrong header cannot
// overflow it.
func seconds(s float64) time.Duration {
	if !(s > 0) { // NaN too
		return 0
	}
	return time.Duration(min(s, 365*24*3600) * float64(time.Second))
}
