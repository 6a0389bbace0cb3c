package main

import "time"

// The evening, in UTC. The cause is the payments deploy: it lowers the size of
// the database pool from 40 connections a pod to 4, which is too few for the
// evening's traffic. The trouble starts when the last of the three old pods,
// which carried the load so far, is replaced. All else is a coincidence.
var (
	day   = time.Date(2026, time.March, 12, 0, 0, 0, 0, time.UTC)
	begin = clock(18, 15, 0)
	end   = clock(20, 15, 0)

	// A crawler is rate-limited by the gateway: warnings, no harm.
	crawlerFrom, crawlerTo = clock(19, 20, 0), clock(19, 50, 0)

	// An unrelated deploy, and the burst of warnings that follows it.
	catalogDeploy                = clock(19, 30, 0)
	catalogDeployed              = clock(19, 31, 0)
	thumbnailsFrom, thumbnailsTo = clock(19, 31, 0), clock(19, 36, 0)

	// A planned restart of the cache: the catalog is slow until it is warm.
	cacheRestart, cacheWarm = clock(19, 38, 0), clock(19, 40, 30)

	// The cause, and the moment from which it shows.
	paymentsDeploy   = clock(19, 42, 0)
	paymentsDeployed = clock(19, 43, 55)
	exhausted        = clock(19, 44, 0)
)

// clock returns a moment of the evening.
func clock(hour, minute, second int) time.Time {
	return day.Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second)
}

// within reports whether t lies in [from, to).
func within(t, from, to time.Time) bool { return !t.Before(from) && t.Before(to) }

// traffic is the load at t in permille of that at the beginning: people come
// home and shop.
func traffic(t time.Time) int {
	return 1000 + 180*int(t.Sub(begin)/time.Second)/int(end.Sub(begin)/time.Second)
}

// severity says in permille how bad the pool's exhaustion is at t: nothing
// before it starts, then a climb of three minutes to its full height.
func severity(t time.Time) int {
	if t.Before(exhausted) {
		return 0
	}
	return min(1000, 150+850*int(t.Sub(exhausted)/time.Second)/180)
}

// coldCache says in permille how much the catalog misses its cache at t: all
// at once at the restart, then less and less until it is warm.
func coldCache(t time.Time) int {
	if !within(t, cacheRestart, cacheWarm) {
		return 0
	}
	return 1000 * int(cacheWarm.Sub(t)/time.Second) / int(cacheWarm.Sub(cacheRestart)/time.Second)
}

// A replicaSet is the pods of one version of a service.
type replicaSet struct {
	version string
	pods    [3]string
	started [3]time.Time // when each pod took over, zero: before the recording
}

// replicas has the versions of each service that ran in the evening, old to new.
var replicas = map[string][]replicaSet{
	"gateway":  {{version: "v1.22.0", pods: [3]string{"gateway-5b8c7d9f6-2xkqp", "gateway-5b8c7d9f6-8tzrw", "gateway-5b8c7d9f6-lq4mj"}}},
	"checkout": {{version: "v3.8.4", pods: [3]string{"checkout-6d9f4c7b8-4hvnd", "checkout-6d9f4c7b8-m7x2c", "checkout-6d9f4c7b8-zp9kt"}}},
	"catalog": {
		{version: "v5.3.0", pods: [3]string{"catalog-84c6f5d7b-6gwsx", "catalog-84c6f5d7b-h5bnf", "catalog-84c6f5d7b-v2d8r"}},
		{
			version: "v5.3.1", pods: [3]string{"catalog-79b5d8c6f-c9jlm", "catalog-79b5d8c6f-q3tfz", "catalog-79b5d8c6f-x6vkh"},
			started: [3]time.Time{clock(19, 30, 15), clock(19, 30, 30), clock(19, 30, 45)},
		},
	},
	"payments": {
		{version: "v2.13.2", pods: [3]string{"payments-7c9d8b5f4-5rhzq", "payments-7c9d8b5f4-d8wvk", "payments-7c9d8b5f4-t4c6n"}},
		{
			version: "v2.14.0", pods: [3]string{"payments-68f7b9d4c-9mpxg", "payments-68f7b9d4c-fk2st", "payments-68f7b9d4c-w7hjb"},
			started: [3]time.Time{clock(19, 42, 20), clock(19, 43, 0), clock(19, 43, 40)},
		},
	},
}

// podAt returns the pod that fills slot 0, 1 or 2 of a service at t.
func podAt(service string, slot int, t time.Time) string {
	sets := replicas[service]
	for i := len(sets) - 1; i > 0; i-- {
		if !t.Before(sets[i].started[slot]) {
			return sets[i].pods[slot]
		}
	}
	return sets[0].pods[slot]
}
