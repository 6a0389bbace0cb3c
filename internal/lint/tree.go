package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Package is what the rules need of what `go list -json` says.
type Package struct {
	Dir        string
	ImportPath string
	Name       string

	Imports, TestImports, XTestImports []string
}

// Packages lists the packages of the module at root.
func Packages(root string) ([]*Package, error) {
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,Name,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []*Package
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := &Package{}
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what go list says: %w", err)
		}
		packages = append(packages, p)
	}
}

// Files lists the files below root that belong to the project, with slashes and relative to root:
// those that git has or would take, and all but what tools left there if git cannot say.
func Files(root string) ([]string, error) {
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil {
		var files []string
		for path := range strings.SplitSeq(string(out), "\x00") {
			// A file that is deleted and not yet committed is listed, too.
			if info, err := os.Lstat(filepath.Join(root, path)); path != "" && err == nil && info.Mode().IsRegular() {
				files = append(files, path)
			}
		}
		return files, nil
	}
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "node_modules", "bin", ".agentrun":
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if d.Type().IsRegular() {
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	return files, err
}

// machinePath matches a path that exists on somebody's machine only. An address such as
// example.com/home/page is none: something stands before its slash.
var machinePath = regexp.MustCompile(`(?:^|[^\w./~-])(/(?:work|home|root|Users)/[\w.~-]|[A-Z]:\\Users\\)`)

// MachinePaths reports absolute paths of a machine in a file of any kind, by line. Binary files
// have none that would matter.
func MachinePaths(file string, text []byte) []string {
	if bytes.IndexByte(text[:min(len(text), 8192)], 0) >= 0 {
		return nil
	}
	var found []string
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if m := machinePath.FindSubmatch(line); m != nil {
			found = append(found, fmt.Sprintf("%s:%d: the path %s… is of one machine", file, n, m[1]))
		}
	}
	return found
}
