package filetool_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/filetool"
)

func Example() {
	root, err := os.MkdirTemp("", "notes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(root)
	os.WriteFile(filepath.Join(root, "plan.md"), []byte("# Plan\n1. Ask Ann\n"), 0o600)
	os.WriteFile(filepath.Join(root, "key.pem"), []byte("secret"), 0o600)

	files, err := filetool.Open("notes", filetool.Config{Root: root, Allow: []string{"**/*.md"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer files.Close()

	ctx := context.Background()
	all, _ := files.Tools(ctx)
	byName, _ := tools.Index(all)
	call := func(name, arguments string) {
		result, err := byName[name].Call(ctx, tools.Call{Arguments: arguments})
		if err != nil {
			result = tools.ErrorResult(err)
		}
		fmt.Println(result.Content)
	}
	call("list_files", `{}`)
	call("edit_file", `{"path": "plan.md", "old": "Ask Ann", "new": "Ask Bob"}`)
	call("search_files", `{"pattern": "ask \\w+", "ignore_case": true}`)
	call("read_file", `{"path": "key.pem"}`)
	call("read_file", `{"path": "../plan.md"}`)
	// Output:
	// plan.md (18 bytes)
	// plan.md: replaced 7 of 18 bytes
	// plan.md:2: 1. Ask Bob
	// key.pem is not one of the files that may be used
	// path "../plan.md": not a path that may be used: it goes up by ".."
}
