package bench

import (
	"slices"
	"time"
)

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

// median of an even number is the upper one of the two in the middle.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v))[len(v)/2]
}

// mean gives the mean of durations, in milliseconds.
func mean(d []time.Duration) float64 {
	var sum time.Duration
	for _, x := range d {
		sum += x
	}
	return ms(sum) / float64(max(len(d), 1))
}

// growth compares the last steps of a chain with its first ones: how much longer
// they took; 0 where there are too few.
func growth(gaps []time.Duration) float64 {
	const some = 100
	if len(gaps) < 2*some {
		return 0
	}
	return mean(gaps[len(gaps)-some:]) / mean(gaps[:some])
}
