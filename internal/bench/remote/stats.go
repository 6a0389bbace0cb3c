package remote

import (
	"math"
	"slices"
	"time"
)

// usage is what a process has used.
type usage struct {
	cpu time.Duration // of all cores
	rss float64       // KiB it has now
}

// quantile gives the value below which a share q of the durations lie, in
// milliseconds; 0 of none.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return ms(s[int(q*float64(len(s)-1)+0.5)])
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// fourDigits rounds to what anybody can measure.
func fourDigits(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
