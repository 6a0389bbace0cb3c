package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// RollBackArgs says which service to roll back, and to what.
type RollBackArgs struct {
	Service   string `json:"service" jsonschema:"enum=catalog,enum=checkout,enum=gateway,enum=payments" jsonschema_description:"The service to roll back."`
	ToVersion string `json:"toVersion" jsonschema_description:"The version to run again, like v2.13.2. It must have been deployed before."`
}

// RollBackResult is what a rollback did. It has no time in it: a call and the
// lookup of that call after a crash say the same.
type RollBackResult struct {
	Service string `json:"service"`
	From    string `json:"from"` // the version that ran
	To      string `json:"to"`   // the version that runs now
}

// rollBack makes a service of the example's production run an earlier version.
//
// It is a tool that must not be called twice for one decision, and nothing in
// it hides a second call: each appends a line to the production's journal,
// where the call's key shows which decision it belongs to. That is what the
// example's tests count.
func rollBack(ctx context.Context, in RollBackArgs) (RollBackResult, error) {
	key := tools.Key(ctx)
	if key == "" {
		return RollBackResult{}, errors.New("a rollback needs the key of its call, to be found again after a crash: call it as a tool")
	}
	if err := checkVersion(ctx, in); err != nil {
		return RollBackResult{}, err
	}
	p := openProduction()
	from, err := p.version(ctx, in.Service)
	if err != nil {
		return RollBackResult{}, err
	}
	e := effect{Key: key, Service: in.Service, From: from, To: in.ToVersion, Time: time.Now().UTC()}
	if err := p.apply(e); err != nil {
		// The line may be in the journal: findRollback has to look.
		return RollBackResult{}, &tools.UnknownOutcomeError{Err: fmt.Errorf("roll %s back to %s: %w", in.Service, in.ToVersion, err)}
	}
	return e.result(), nil
}

// findRollback looks a call of rollBack up by its key. It reports what the call
// did, and whether it happened at all. It rolls nothing back; it only
// completes the version file, which a crash may have left behind the journal.
func findRollback(ctx context.Context, key string, in RollBackArgs) (RollBackResult, bool, error) {
	if err := ctx.Err(); err != nil {
		return RollBackResult{}, false, err
	}
	p := openProduction()
	effects, err := p.journal.read()
	if err != nil {
		return RollBackResult{}, false, err
	}
	i := slices.IndexFunc(effects, func(e effect) bool { return e.Key == key })
	if i < 0 {
		return RollBackResult{}, false, nil
	}
	found := effects[i]
	if found.Service != in.Service || found.To != in.ToVersion {
		return RollBackResult{}, false, fmt.Errorf("call %s rolled %s back to %s, not %s to %s: see %s",
			key, found.Service, found.To, in.Service, in.ToVersion, p.journal.path)
	}
	if err := errors.Join(p.journal.sync(), p.writeCurrent(in.Service)); err != nil {
		return RollBackResult{}, false, err
	}
	return found.result(), true, nil
}

// checkVersion gives an error unless the version was deployed before; it lists
// those that were.
func checkVersion(ctx context.Context, in RollBackArgs) error {
	if err := checkService(in.Service); err != nil {
		return err
	}
	known, err := deployedVersions(ctx, in.Service)
	if err != nil {
		return err
	}
	if slices.Contains(known, in.ToVersion) {
		return nil
	}
	return fmt.Errorf("unknown version %q of %s: it can go back to %s", in.ToVersion, in.Service, strings.Join(known, ", "))
}

// deployedVersions lists the versions of a service that ran, old to new.
func deployedVersions(ctx context.Context, service string) ([]string, error) {
	records, err := readDeploys(ctx)
	if err != nil {
		return nil, err
	}
	var versions []string
	for _, r := range records {
		if r.Service != service {
			continue
		}
		for _, v := range []string{r.PreviousVersion, r.Version} {
			if !slices.Contains(versions, v) {
				versions = append(versions, v)
			}
		}
	}
	return versions, nil
}

// production is the folder of files that stands for the machines of the shop:
// a journal of what was done to them, effects.jsonl, and for each service that
// was touched a file current/SERVICE with the version that runs. The journal
// decides; the version files follow from it.
type production struct {
	dir     string
	journal journal
}

// openProduction finds the folder. It is created by the first rollback.
func openProduction() production {
	dir := stateDir()
	return production{dir, journal{filepath.Join(dir, "effects.jsonl")}}
}

// apply carries an effect out: the line in the journal is the deed.
func (p production) apply(e effect) error {
	if err := p.journal.append(e); err != nil {
		return err
	}
	return p.writeCurrent(e.Service)
}

// version returns the version of a service that runs: that of the last
// rollback, or else of the last deploy.
func (p production) version(ctx context.Context, service string) (string, error) {
	effects, err := p.journal.read()
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(effects) {
		if e.Service == service {
			return e.To, nil
		}
	}
	known, err := deployedVersions(ctx, service)
	if err != nil {
		return "", err
	}
	return known[len(known)-1], nil
}

// writeCurrent brings a service's version file up to the journal.
func (p production) writeCurrent(service string) error {
	effects, err := p.journal.read()
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(effects) {
		if e.Service == service {
			return replaceFile(filepath.Join(p.dir, "current", service), e.To+"\n")
		}
	}
	return nil
}
