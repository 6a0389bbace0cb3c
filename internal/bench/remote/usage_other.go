//go:build !linux

package remote

import (
	"errors"
)

// usageOf is not known here.
func usageOf(int) (usage, error) {
	return usage{}, errors.New("what another process uses is read on Linux only; leave out the server's process")
}
