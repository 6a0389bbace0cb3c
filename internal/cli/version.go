package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// module is what this command is a part of.
const module = "github.com/agentrun-dev/agentrun"

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if a.format != formatTable {
				return a.printJSON(v)
			}
			return a.printText("agentrun " + v.Version + ", " + v.Go + ", " + v.System)
		},
	}
}

// version is that of the module, also in programs that only use it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return "(devel)"
}
