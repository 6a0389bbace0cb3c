package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// A deploy is the record that the deploy system keeps. The two configurations
// are files of their own below deploys, named by the record.
type deploy struct {
	ID              string       `json:"id"`
	Service         string       `json:"service"`
	Version         string       `json:"version"`
	PreviousVersion string       `json:"previousVersion"`
	Author          string       `json:"author"`
	Summary         string       `json:"summary"`
	Started         time.Time    `json:"started"`
	Finished        time.Time    `json:"finished"`
	Image           string       `json:"image"`
	Config          configChange `json:"config"`
}

type configChange struct {
	Before string `json:"before"`
	After  string `json:"after"`
}

var deploys = []deploy{
	record(1178, "catalog", "v5.2.7", "v5.3.0", "ines.moreau", "facet counts from the search index", day.Add(-62*time.Hour), 70*time.Second),
	record(1180, "payments", "v2.13.1", "v2.13.2", "tomasz.wilk", "fix rounding of partial refunds", day.Add(-37*time.Hour), 120*time.Second),
	record(1183, "checkout", "v3.8.3", "v3.8.4", "amara.diallo", "show delivery window before payment", day.Add(-10*time.Hour), 95*time.Second),
	record(1185, "gateway", "v1.21.6", "v1.22.0", "jon.halvorsen", "rate limit per client instead of per address", clock(14, 5, 0), 80*time.Second),
	record(1187, "catalog", "v5.3.0", "v5.3.1", "ines.moreau", "larger result pages, thumbnails from the new image host", catalogDeploy, catalogDeployed.Sub(catalogDeploy)),
	record(1188, "payments", "v2.13.2", "v2.14.0", "tomasz.wilk", "PDF receipts, tidy up of the default settings", paymentsDeploy, paymentsDeployed.Sub(paymentsDeploy)),
}

func record(number int, service, from, to, author, summary string, started time.Time, took time.Duration) deploy {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s@%s", service, to)
	return deploy{
		ID: fmt.Sprintf("dep-%d", number), Service: service, Version: to, PreviousVersion: from,
		Author: author, Summary: summary, Started: started, Finished: started.Add(took),
		Image:  fmt.Sprintf("shop/%s:%s-%08x", service, strings.TrimPrefix(to, "v"), uint32(h.Sum64())),
		Config: configChange{Before: configFile(service, from), After: configFile(service, to)},
	}
}

func configFile(service, version string) string {
	return "config/" + service + "/" + version + ".conf"
}

// A setting of a service, with the version from which on it has another value.
type setting struct {
	key, value string
	changes    []change
}

// A change gives a setting its value from a version on: "" removes it.
type change struct{ version, value string }

// versions lists each service's versions, old to new.
var versions = map[string][]string{
	"catalog":  {"v5.2.7", "v5.3.0", "v5.3.1"},
	"checkout": {"v3.8.3", "v3.8.4"},
	"gateway":  {"v1.21.6", "v1.22.0"},
	"payments": {"v2.13.1", "v2.13.2", "v2.14.0"},
}

// settings lists each service's configuration. An empty value means that the
// setting does not exist at first.
var settings = map[string][]setting{
	"catalog": {
		{"cache.address", "cache.shop.internal:6379", nil},
		{"cache.ttl", "10m", nil},
		{"db.pool.max", "20", nil},
		{"db.pool.min", "2", nil},
		{"db.timeout", "1s", nil},
		{"features.facets", "", []change{{"v5.3.0", "true"}}},
		{"http.port", "8080", nil},
		{"images.host", "img.shop.example", []change{{"v5.3.1", "img2.shop.example"}}},
		{"images.placeholder", "/static/placeholder.svg", nil},
		{"log.level", "info", nil},
		{"search.page_size", "24", []change{{"v5.3.1", "36"}}},
		{"search.timeout", "400ms", nil},
	},
	"checkout": {
		{"cart.max_items", "200", nil},
		{"db.pool.max", "24", nil},
		{"db.pool.min", "2", nil},
		{"features.delivery_window", "false", []change{{"v3.8.4", "true"}}},
		{"http.port", "8080", nil},
		{"log.level", "info", nil},
		{"payments.attempts", "2", nil},
		{"payments.backoff", "200ms", nil},
		{"payments.timeout", "3s", nil},
		{"shipping.quote_timeout", "300ms", []change{{"v3.8.4", "350ms"}}},
	},
	"gateway": {
		{"http.port", "443", nil},
		{"limit.by", "address", []change{{"v1.22.0", "client"}}},
		{"limit.requests_per_s", "20", nil},
		{"log.level", "info", nil},
		{"tls.min_version", "1.2", nil},
		{"upstream.keepalive", "64", nil},
		{"upstream.timeout", "5s", nil},
	},
	"payments": {
		{"acquirer.timeout", "1500ms", nil},
		{"db.pool.acquire_timeout", "2s", nil},
		{"db.pool.idle_timeout", "5m", []change{{"v2.14.0", "10m"}}},
		{"db.pool.max", "40", []change{{"v2.14.0", "4"}}},
		{"db.pool.min", "2", nil},
		{"db.statement_timeout", "5s", nil},
		{"features.receipt_pdf", "false", []change{{"v2.14.0", "true"}}},
		{"fraud.rules_ttl", "15m", nil},
		{"http.port", "8080", nil},
		{"http.user_agent", "payments/2.13", []change{{"v2.14.0", "payments/2.14"}}},
		{"log.legacy_format", "false", []change{{"v2.14.0", ""}}},
		{"log.level", "info", nil},
		{"log.sampling", "0.005", nil},
		{"receipt.template", "", []change{{"v2.14.0", "receipt-2026"}}},
		{"refund.rounding", "half-up", []change{{"v2.13.2", "half-even"}}},
		{"retry.jitter", "10ms", []change{{"v2.14.0", "25ms"}}},
		{"webhook.attempts", "5", nil},
	},
}

// writeDeploys adds the deploy records and the configurations they name.
func writeDeploys(files map[string][]byte) {
	for _, d := range deploys {
		b, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			panic(err) // a plain struct always has a JSON form
		}
		files[fmt.Sprintf("deploys/%s-%s-%s.json", d.ID, d.Service, d.Version)] = append(b, '\n')
	}
	for service, list := range versions {
		for _, version := range list {
			files["deploys/"+configFile(service, version)] = config(service, version)
		}
	}
}

// config renders the settings of a service at a version as "key = value" lines.
func config(service, version string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s %s\n", service, version)
	for _, s := range settings[service] {
		value := s.value
		for _, v := range versions[service] {
			for _, c := range s.changes {
				if c.version == v {
					value = c.value
				}
			}
			if v == version {
				break
			}
		}
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", s.key, value)
		}
	}
	return b.Bytes()
}
