package durable

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

// Remove deletes the task hub at url, with everything in it. It must not be open: the
// error is then a *HeldError. Where there is none, it is ErrNotFound.
func Remove(url string) error {
	scheme, path, err := parseURL(url)
	if err != nil {
		return err
	}
	if scheme == "memory" {
		return fmt.Errorf("%s: %w", url, ErrNotFound)
	}
	if err = sqlite.Remove(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", url, ErrNotFound)
	}
	return err
}
