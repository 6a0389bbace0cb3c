//go:build !unix

package filetool

import "os"

// syncDir does nothing where a folder cannot be synced by itself.
func syncDir(*os.Root) error { return nil }

// rename goes by names between two folders, since nothing else is there. The caller looks where the file is then.
func rename(root *os.Root, from, to file) error { return root.Rename(from.name, to.name) }
