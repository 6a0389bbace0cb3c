package evals

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/internal/yamlfile"
)

// Modes of a case.
const (
	// ModeStrict replays recordings with [Strict].
	ModeStrict = "strict"
	// ModeScenario runs a scenario by its script, in memory, and checks what it expects.
	ModeScenario = "scenario"
)

// ErrNoCases is wrapped by the errors of suites that run nothing: that is no pass.
var ErrNoCases = errors.New("the suite has no cases")

// Suite is a list of cases. It can be read from a file, see [LoadSuite], or made in Go.
type Suite struct {
	// Version is the version of the format.
	Version int `yaml:"version"`
	// Name is for people.
	Name string `yaml:"name"`
	// Program is the directory of the program's main package, as the module has it. A
	// command without a program of its own builds that one; [Suite.Run] does not look.
	Program string `yaml:"program"`
	// Cases run in this order. Their names are unique.
	Cases []Case `yaml:"cases"`
}

// Case is one thing to try.
type Case struct {
	Name string `yaml:"name"`
	// Mode is [ModeStrict] or [ModeScenario].
	Mode string `yaml:"mode"`
	// Recordings are the files to replay; only in ModeStrict. In a suite's file they
	// may be patterns (those of package path/filepath), which LoadSuite replaces.
	Recordings []string `yaml:"recordings"`
	// Scenario is the file of the scenario to run; in ModeStrict that of the scenario
	// that was run, in place of the one that the recording names.
	Scenario string `yaml:"scenario"`
}

// maxSuiteBytes bounds a suite's file.
const maxSuiteBytes = 1 << 20

// LoadSuite reads a suite. Unknown keys, a file that is not there, a pattern that no
// file matches: each is an error of one line, "FILE:LINE: what is wrong". Paths in the
// file are relative to it, those in the suite are not.
func LoadSuite(path string) (*Suite, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read suite: %w", err)
	}
	if len(data) > maxSuiteBytes {
		return nil, fmt.Errorf("suite %s is larger than %d MiB; is it a recording? then replay it with --strict", path, maxSuiteBytes>>20)
	}
	f := yamlfile.File{Name: path, Data: data}
	if err := f.Version(Version); err != nil {
		return nil, err
	}
	s := &Suite{}
	if err := f.Decode(s); err != nil {
		return nil, err
	}
	if err := s.check(f); err != nil {
		return nil, err
	}
	return s, nil
}

// check finds what is wrong with a suite, and replaces its paths.
func (s *Suite) check(f yamlfile.File) error {
	if strings.TrimSpace(s.Name) == "" {
		return f.Wrong("$.name", nil, "the suite has no name; add name:")
	}
	if len(s.Cases) == 0 {
		return f.Wrong("$.cases", ErrNoCases, "the suite has no cases; add one below cases:")
	}
	var names []string
	for i := range s.Cases {
		c, at := &s.Cases[i], fmt.Sprintf("$.cases[%d]", i)
		switch {
		case strings.TrimSpace(c.Name) == "":
			return f.Wrong(at+".name", nil, "case %d has no name; add name:", i+1)
		case slices.Contains(names, c.Name):
			return f.Wrong(at+".name", nil, "two cases are named %q; rename one of them", c.Name)
		}
		names = append(names, c.Name)
		if err := c.check(f, at); err != nil {
			return err
		}
	}
	return nil
}

func (c *Case) check(f yamlfile.File, at string) error {
	switch c.Mode {
	case ModeStrict:
		if len(c.Recordings) == 0 {
			return f.Wrong(at+".recordings", nil, "case %q has no recordings; add recordings: with files or patterns", c.Name)
		}
	case ModeScenario:
		if c.Scenario == "" {
			return f.Wrong(at+".scenario", nil, "case %q has no scenario; add scenario: with its file", c.Name)
		}
		if len(c.Recordings) > 0 {
			return f.Wrong(at+".recordings", nil, "recordings are for mode: %s, and case %q has mode: %s; remove them", ModeStrict, c.Name, c.Mode)
		}
	default:
		return f.Wrong(at+".mode", nil, "case %q has mode %q; use %s or %s", c.Name, c.Mode, ModeStrict, ModeScenario)
	}
	dir := filepath.Dir(f.Name)
	if c.Scenario != "" {
		c.Scenario = below(dir, c.Scenario)
		if _, err := os.Stat(c.Scenario); err != nil {
			return f.Wrong(at+".scenario", err, "there is no scenario %s; its path is relative to the suite", c.Scenario)
		}
	}
	var files []string
	for i, pattern := range c.Recordings {
		found, err := match(below(dir, pattern))
		if err != nil {
			return f.Wrong(fmt.Sprintf("%s.recordings[%d]", at, i), err, "recordings %s: %v; paths are relative to the suite", pattern, err)
		}
		for _, file := range found {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	c.Recordings = files
	return nil
}

// below is a path of the suite's file.
func below(dir, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// match gives the files that a pattern stands for: at least one.
func match(pattern string) ([]string, error) {
	if _, err := os.Stat(pattern); err == nil {
		return []string{pattern}, nil
	}
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("there is no such file")
	}
	return found, nil
}
