package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/scenario"
)

const scenarioFile = "scenario.yaml"

// load reads the scenario at path. A program without one has an implicit scenario:
// its only agent, or its only orchestration.
func (a *app) load(path string) (*scenario.Scenario, error) {
	if a.ownsDefinitions() && (path == "" || isProgram(path) && !exists(filepath.Join(path, scenarioFile))) {
		return a.implicitScenario(path)
	}
	sc, err := scenario.Load(path)
	if err == nil {
		return sc, nil
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() && !hasYAML(path) {
		return nil, usagef("%s has neither a scenario (%s) nor a Go main package; name one of them", path, scenarioFile)
	}
	return nil, usage(err)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func hasYAML(dir string) bool {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".yaml" {
			return true
		}
	}
	return false
}

// implicitPath marks a scenario that is in no file.
const implicitPath = "the program"

func implicit(sc *scenario.Scenario) bool { return sc.Path() == implicitPath }

func (a *app) implicitScenario(path string) (*scenario.Scenario, error) {
	var names []string
	for _, x := range a.program.Agents {
		names = append(names, x.Name())
	}
	key := "agent"
	if len(names) == 0 {
		key = "orchestration"
		var err error
		if names, err = durable.Orchestrations(a.program.Definitions...); err != nil {
			return nil, setupf("the program is wrong: %w", err)
		}
	}
	if len(names) != 1 {
		return nil, usagef("the program has %s, and nothing says who does the work; add a %s",
			several(len(names), key), filepath.Join(path, scenarioFile))
	}
	text := fmt.Sprintf("version: 1\nname: %s\nteam: {%s: %q}\n", scenarioName(names[0]), key, names[0])
	return scenario.Parse(implicitPath, []byte(text))
}

// several is a number of things, for people.
func several(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// scenarioName makes the name of a scenario of another one.
func scenarioName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
	return name[:min(len(name), 64)]
}
