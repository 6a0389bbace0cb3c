package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/evals"
)

func (a *app) exportCommand() *cobra.Command {
	var out string
	var force bool
	c := &cobra.Command{
		Use:   "export RUN --out FILE",
		Short: "Write a run into a file, for evals",
		Args:  exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			if out == "" {
				return usagef("runs export needs --out FILE (- writes to standard output)")
			}
			err := a.again(c.Context(), func(client *durable.Client) error { return a.export(c.Context(), client, args[0], out, force) })
			return a.runError(err, args[0])
		},
	}
	c.Flags().StringVar(&out, "out", "", "`FILE` to write")
	c.Flags().BoolVar(&force, "force", false, "replace the file if it exists")
	return c
}

func (a *app) export(ctx context.Context, c *durable.Client, id, out string, force bool) error {
	if out == "-" {
		return evals.Export(ctx, c, id, a.out)
	}
	if err := writeFile(out, force, func(f *os.File) error { return evals.Export(ctx, c, id, f) }); err != nil {
		return err
	}
	a.term.printf("wrote %s\n", out)
	return nil
}

// writeFile makes a file appear as a whole, or not at all. Without force it must
// not exist.
func writeFile(path string, force bool, write func(*os.File) error) (err error) {
	if _, err := os.Lstat(path); err == nil && !force {
		return usagef("%s exists already; add --force to replace it", path)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".agentrun-*")
	if err != nil {
		return setupf("write %s: %w", path, err)
	}
	defer func() {
		if removeErr := os.Remove(temp.Name()); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}()
	if err := errors.Join(write(temp), temp.Chmod(0o644), temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := place(temp.Name(), path, force); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// place gives a file its name. A link is refused where the name is taken, also by
// somebody who was quicker; a file system without links does without that.
func place(temp, path string, force bool) error {
	if !force {
		err := os.Link(temp, path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return os.Rename(temp, path)
}
