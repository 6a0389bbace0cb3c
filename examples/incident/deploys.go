package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// DiffDeploysArgs says which deploys to compare with what ran before them.
type DiffDeploysArgs struct {
	Service string `json:"service,omitempty" jsonschema:"enum=catalog,enum=checkout,enum=gateway,enum=payments" jsonschema_description:"Only deploys of this service. Default: of all services."`
	From    string `json:"from,omitempty" jsonschema_description:"Only deploys that started at this time or later, like 2026-03-12T19:00:00Z or 19:00. Default: since the records begin, some days before the recording."`
	To      string `json:"to,omitempty" jsonschema_description:"Only deploys that started before this time, like 2026-03-12T20:00:00Z or 20:00. Default: end of the recording."`
}

// DiffDeploysResult lists deploys in the order in which they started.
type DiffDeploysResult struct {
	Deploys []Deploy `json:"deploys"`
}

// Deploy is a deploy and what it changed.
type Deploy struct {
	ID              string         `json:"id"`
	Service         string         `json:"service"`
	PreviousVersion string         `json:"previousVersion"`
	Version         string         `json:"version"`
	Author          string         `json:"author"`
	Summary         string         `json:"summary"`
	Started         time.Time      `json:"started"`
	Finished        time.Time      `json:"finished"`
	Image           string         `json:"image"`
	Changes         []ConfigChange `json:"changes"` // sorted by key
}

// ConfigChange is one setting that a deploy changed. Before is empty for an
// added setting, After for a removed one.
type ConfigChange struct {
	Key    string `json:"key"`
	Kind   string `json:"kind"` // changed, added or removed
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// deployRecord is a deploy as the deploy system's file has it: it names two
// configuration files, relative to the folder of the records.
type deployRecord struct {
	Deploy
	Config struct {
		Before string `json:"before"`
		After  string `json:"after"`
	} `json:"config"`
}

// diffDeploys compares the configurations before and after each deploy.
func diffDeploys(ctx context.Context, in DiffDeploysArgs) (DiffDeploysResult, error) {
	if in.Service != "" {
		if err := checkService(in.Service); err != nil {
			return DiffDeploysResult{}, err
		}
	}
	// The records are older than the recording: any start is allowed.
	w, err := parseWindow(in.From, in.To, window{time.Time{}, recordingEnd})
	if err != nil {
		return DiffDeploysResult{}, err
	}
	records, err := readDeploys(ctx)
	if err != nil {
		return DiffDeploysResult{}, err
	}
	result := DiffDeploysResult{Deploys: []Deploy{}}
	for _, r := range records {
		if in.Service != "" && r.Service != in.Service || !w.contains(r.Started) {
			continue
		}
		before, err := readConfig(r.Config.Before)
		if err != nil {
			return DiffDeploysResult{}, fmt.Errorf("deploy %s: %w", r.ID, err)
		}
		after, err := readConfig(r.Config.After)
		if err != nil {
			return DiffDeploysResult{}, fmt.Errorf("deploy %s: %w", r.ID, err)
		}
		r.Changes = diffConfig(before, after)
		result.Deploys = append(result.Deploys, r.Deploy)
	}
	return result, nil
}

// readDeploys reads all deploy records, sorted by their start.
func readDeploys(ctx context.Context) ([]deployRecord, error) {
	names, err := fs.Glob(evening, "data/deploys/*.json")
	if err != nil {
		return nil, err
	}
	records := make([]deployRecord, len(names))
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := evening.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, &records[i]); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	slices.SortStableFunc(records, func(a, b deployRecord) int { return a.Started.Compare(b.Started) })
	return records, nil
}

// readConfig reads a configuration of "key = value" lines. Lines that are
// empty or begin with # say nothing.
func readConfig(file string) (map[string]string, error) {
	name := path.Join("data/deploys", file)
	f, err := evening.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	config := make(map[string]string)
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%s:%d: %q is not key = value", name, n, line)
		}
		config[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return config, nil
}

// diffConfig lists the settings that differ, sorted by key.
func diffConfig(before, after map[string]string) []ConfigChange {
	changes := []ConfigChange{}
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		b, had := before[key]
		a, has := after[key]
		switch {
		case had && has && a != b:
			changes = append(changes, ConfigChange{Key: key, Kind: "changed", Before: b, After: a})
		case had && !has:
			changes = append(changes, ConfigChange{Key: key, Kind: "removed", Before: b})
		case has && !had:
			changes = append(changes, ConfigChange{Key: key, Kind: "added", After: a})
		}
	}
	return changes
}
