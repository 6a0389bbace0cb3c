//go:build unix

package shelltool_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/shelltool"
)

func Example() {
	dir, err := os.MkdirTemp("", "work")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	run, err := shelltool.New("run", "Run a program in the project.", shelltool.Config{
		Dir: dir,
		Programs: map[string]shelltool.Program{
			"echo": {},
			"ls": {Check: func(args []string) error {
				if len(args) > 1 {
					return errors.New("ls takes one folder")
				}
				return nil
			}},
		},
		Env: []string{"LANG"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, arguments := range []string{
		`{"program": "echo", "args": ["$HOME", "*", "; rm -rf /"]}`,
		`{"program": "ls", "args": ["."]}`,
		`{"program": "ls", "args": ["a", "b"]}`,
		`{"program": "rm", "args": ["-rf", "/"]}`,
	} {
		result, err := run.Call(ctx, tools.Call{Arguments: arguments})
		if err != nil {
			result = tools.ErrorResult(err)
		}
		fmt.Printf("%.55q %v\n", result.Content, result.IsError)
	}
	// Output:
	// "[exit code 0]\n$HOME * ; rm -rf /\n" false
	// "[exit code 0]\n" false
	// "ls takes one folder" true
	// "invalid arguments for tool run: /program: value must be" true
}
