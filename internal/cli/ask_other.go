//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package cli

import (
	"errors"
	"os"
)

// canDropInput says that dropInput works here.
const canDropInput = false

func dropInput(*os.File) error { return errors.ErrUnsupported }
