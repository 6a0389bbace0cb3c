package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/build"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ownsDefinitions reports whether this binary is a program of its own. Only the
// bare agentrun becomes another one, and none does so twice.
func (a *app) ownsDefinitions() bool {
	p := a.program
	return len(p.Agents)+len(p.Definitions)+len(p.Models)+len(p.Tools) > 0 || a.dir != ""
}

// isProgram reports whether a directory has a Go main package.
func isProgram(dir string) bool {
	pkg, err := build.ImportDir(dir, 0)
	return err == nil && pkg.Name == "main"
}

// become builds the program in dir and turns this process into it, with the same
// arguments. It returns only if that fails, or on a system where a process cannot
// become another: then the program has run, and its exit code is the error's.
func (a *app) become(ctx context.Context, dir string) error {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return setupf("the program %s is gone: put it back, or give its directory with --program: %w", dir, err)
	case !info.IsDir():
		return usagef("the program %s is a file; give the directory of its main package", dir)
	case !isProgram(dir):
		return setupf("%s has no Go main package; give the directory of one with --program", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	bin, err := a.build(ctx, abs)
	if err != nil {
		return err
	}
	env := append(os.Environ(), envProgram+"="+abs, envCommand+"="+a.command)
	return becomeProgram(bin, append([]string{filepath.Base(os.Args[0])}, a.args...), env)
}

// build builds the program in dir, an absolute path, and gives the binary's path.
// Binaries are named by their content, so that none is written that may be
// running.
func (a *app) build(ctx context.Context, dir string) (string, error) {
	cache, err := programCache(dir)
	if err != nil {
		return "", err
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", setupf("%s is a Go program, and there is no go command to build it with: install Go, or run the program's own binary", dir)
	}
	temp, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return "", setupf("build %s: %w", dir, err)
	}
	defer os.RemoveAll(temp)
	built := filepath.Join(temp, "program"+exeSuffix())
	if a.term.isTerm {
		a.term.printf("%s\n", a.term.dim("building "+dir))
	}
	cmd := exec.CommandContext(ctx, goTool, "build", "-o", built, ".")
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", setupf("the program %s does not build (%w):\n%s", dir, err, printable(said.String()))
	}
	return keepBinary(cache, built)
}

// programCache is the directory of a program's binaries.
func programCache(dir string) (string, error) {
	root, err := os.UserCacheDir()
	if err != nil {
		root = os.TempDir() // no home: in a container, for instance
	}
	sum := sha256.Sum256([]byte(dir))
	cache := filepath.Join(root, "agentrun", "programs", filepath.Base(dir)+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", setupf("a place for built programs: %w", err)
	}
	return cache, nil
}

// keepBinary moves a binary to its name in the cache, and tidies up there.
func keepBinary(cache, built string) (string, error) {
	f, err := os.Open(built)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	bin := filepath.Join(cache, hex.EncodeToString(sum.Sum(nil)[:12])+exeSuffix())
	if _, err := os.Stat(bin); err == nil {
		now := time.Now()
		_ = os.Chtimes(bin, now, now) // it is in use: see below
		return bin, nil
	}
	if err := os.Rename(built, bin); err != nil {
		return "", fmt.Errorf("keep the program's binary: %w", err)
	}
	tidy(cache, filepath.Base(bin))
	return bin, nil
}

// tidy removes what no build of the last day has used. A program that still runs
// keeps its file, or the system refuses: both are fine.
func tidy(cache, keep string) {
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.Name() != keep && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(filepath.Join(cache, e.Name()))
		}
	}
}

// commandName is how a user calls this program, for commands that are shown to be
// typed.
func commandName() string {
	if name := os.Getenv(envCommand); name != "" {
		return name
	}
	name := os.Args[0]
	if strings.Contains(filepath.ToSlash(name), "/go-build") { // go run, which removes the binary
		return goRun()
	}
	if base := filepath.Base(name); found(base, name) {
		return base
	}
	return name
}

// found reports whether the shell finds the binary at path by its bare name.
func found(base, path string) bool {
	first, err := exec.LookPath(base)
	if err != nil {
		return false
	}
	a, errA := os.Stat(first)
	b, errB := os.Stat(path)
	return errA != nil || errB != nil || os.SameFile(a, b)
}
