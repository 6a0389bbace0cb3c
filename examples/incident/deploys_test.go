package main

import (
	"slices"
	"testing"
	"time"
)

func TestDiffDeploys(t *testing.T) {
	tests := []struct {
		name string
		in   DiffDeploysArgs
		want []string // ids
	}{
		{"all", DiffDeploysArgs{}, []string{"dep-1178", "dep-1180", "dep-1183", "dep-1185", "dep-1187", "dep-1188"}},
		{"the evening", DiffDeploysArgs{From: "18:15"}, []string{"dep-1187", "dep-1188"}},
		{"a service", DiffDeploysArgs{Service: "payments"}, []string{"dep-1180", "dep-1188"}},
		{"both", DiffDeploysArgs{Service: "catalog", From: "19:00", To: "20:00"}, []string{"dep-1187"}},
		{"from is in", DiffDeploysArgs{From: "19:42"}, []string{"dep-1188"}},
		{"to is not", DiffDeploysArgs{From: "19:00", To: "19:42"}, []string{"dep-1187"}},
		{"none", DiffDeploysArgs{Service: "checkout", From: "18:15"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := diffDeploys(t.Context(), test.in)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, d := range got.Deploys {
				ids = append(ids, d.ID)
			}
			if !slices.Equal(ids, test.want) {
				t.Errorf("deploys %v, want %v", ids, test.want)
			}
			wantBounded(t, got)
		})
	}
}

// TestDiffDeploysCause finds the changed pool beside the harmless changes.
func TestDiffDeploysCause(t *testing.T) {
	got, err := diffDeploys(t.Context(), DiffDeploysArgs{Service: "payments", From: "19:00"})
	if err != nil {
		t.Fatal(err)
	}
	d := got.Deploys[0]
	if d.PreviousVersion != "v2.13.2" || d.Version != "v2.14.0" || d.Author != "tomasz.wilk" || d.Started.Format(time.RFC3339) != "2026-03-12T19:42:00Z" {
		t.Errorf("deploy %+v", d)
	}
	want := []ConfigChange{
		{"db.pool.idle_timeout", "changed", "5m", "10m"},
		{"db.pool.max", "changed", "40", "4"},
		{"features.receipt_pdf", "changed", "false", "true"},
		{"http.user_agent", "changed", "payments/2.13", "payments/2.14"},
		{"log.legacy_format", "removed", "false", ""},
		{"receipt.template", "added", "", "receipt-2026"},
		{"retry.jitter", "changed", "10ms", "25ms"},
	}
	if !slices.Equal(d.Changes, want) {
		t.Errorf("changes %v, want %v", d.Changes, want)
	}
}

func TestDiffDeploysBadInput(t *testing.T) {
	tests := []struct {
		name string
		in   DiffDeploysArgs
		want []string
	}{
		{"service", DiffDeploysArgs{Service: "Payments"}, []string{`unknown service "Payments"`, "catalog, checkout, gateway, payments"}},
		{"time", DiffDeploysArgs{From: "last week"}, []string{`from "last week" is not a time`, "2026-03-12T19:42:00Z"}},
		{"turned around", DiffDeploysArgs{From: "20:00", To: "19:00"}, []string{"empty window"}},
		{"after the end", DiffDeploysArgs{From: "21:00"}, []string{"empty window", "2026-03-12T20:15:00Z"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := diffDeploys(t.Context(), test.in)
			wantError(t, err, test.want...)
		})
	}
}
