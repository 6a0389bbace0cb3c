package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// place is where a server's hubs lie.
type place struct {
	store string // URL of the default hub
	path  string // of its database; "": in memory
}

// placeOf finds the database of a store. What is wrong with the URL is told by those who open it.
func placeOf(store string) place {
	path, ok := strings.CutPrefix(store, "sqlite:")
	if !ok {
		return place{store: store}
	}
	return place{store, strings.TrimPrefix(path, "//")}
}

// dir is where the other hubs lie.
func (p place) dir() string { return p.path + ".hubs" }

const suffix = ".db"

// file is the database of a hub that is not the default one.
func (p place) file(name string) string { return filepath.Join(p.dir(), name+suffix) }

// url is the store of a hub.
func (p place) url(name string) string {
	if name == taskhub.DefaultHub || p.path == "" {
		return p.store
	}
	return "sqlite:" + p.file(name)
}

// has reports whether a hub other than the default one is on disk.
func (p place) has(name string) (bool, error) {
	if p.path == "" {
		return false, nil
	}
	switch info, err := os.Lstat(p.file(name)); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("task hub %s: %w", name, err)
	default:
		return info.Mode().IsRegular(), nil
	}
}

// names lists the hubs that are on disk, and the default one.
func (p place) names() ([]string, error) {
	names := []string{taskhub.DefaultHub}
	if p.path == "" {
		return names, nil
	}
	entries, err := os.ReadDir(p.dir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the task hubs: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if kept, err := taskhub.HubName(name); ok && err == nil && kept == name && name != taskhub.DefaultHub && e.Type().IsRegular() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// hubError is an error whose text is complete without that of its kind.
type hubError struct {
	text string
	kind error
}

func (e *hubError) Error() string { return e.text }
func (e *hubError) Unwrap() error { return e.kind }

// errUnknown is the error about a hub that is not there.
func errUnknown(name string) error {
	return &hubError{fmt.Sprintf("there is no task hub %q; make it with: agentrun hub create %s, or have hubs made on first use: agentrun serve --dev", name, name), durable.ErrNotFound}
}

func errThere(name string) error {
	return &hubError{fmt.Sprintf("there is a task hub %q already", name), durable.ErrExists}
}

func checkDelete(name string) error {
	if name == taskhub.DefaultHub {
		return fmt.Errorf("%w: the task hub %s cannot be deleted; purge its instances, or delete the store", durable.ErrInvalid, name)
	}
	return nil
}

// Hubs lists the hubs of a store that no server has open, sorted.
func Hubs(store string) ([]string, error) { return placeOf(store).names() }

// CreateHub makes a hub of a store, also beside a server that has the store open, which finds it on
// first use. One that is there already is [durable.ErrExists].
func CreateHub(ctx context.Context, store, name string) error {
	p := placeOf(store)
	name, err := taskhub.HubName(name)
	if err != nil {
		return err
	}
	if p.path == "" {
		return fmt.Errorf("%w: the hubs of %s are gone with its program; use a store on disk", durable.ErrInvalid, store)
	}
	there, err := p.has(name)
	if err != nil {
		return err
	}
	if there || name == taskhub.DefaultHub {
		return errThere(name)
	}
	rt, err := durable.OpenWith(ctx, p.url(name), durable.Options{Hub: name})
	if err != nil {
		return err
	}
	return rt.Close()
}

// DeleteHub deletes a hub of a store that no server has open: if one has, the error is a
// *durable.HeldError.
func DeleteHub(store, name string) error {
	p := placeOf(store)
	name, err := taskhub.HubName(name)
	if err == nil {
		err = checkDelete(name)
	}
	if err != nil {
		return err
	}
	if there, err := p.has(name); err != nil || !there {
		return errors.Join(err, errUnknown(name))
	}
	return durable.Remove(p.url(name))
}

// TokenFile is where the tokens of a store lie, see package access: beside the database. A store in
// memory has none.
func TokenFile(store string) (string, error) {
	p := placeOf(store)
	if p.path == "" {
		return "", fmt.Errorf("%w: tokens are kept beside a store on disk, and %s is none", durable.ErrInvalid, store)
	}
	return p.path + ".tokens.json", nil
}

// Dial connects to the process that has a store open, see [taskhub.Dialer]; version is that of the
// program that dials. Where there is none, the error wraps taskhub.ErrUnavailable.
func Dial(ctx context.Context, store, version string) (*taskhub.Remote, error) {
	p := placeOf(store)
	if p.path == "" {
		return nil, fmt.Errorf("%s: %w", store, taskhub.ErrUnavailable)
	}
	d := taskhub.Dialer{Store: p.path, Version: version}
	return d.Dial(ctx, taskhub.SocketPath(p.path))
}
