// Command agentrun runs teams of AI agents whose work must not be lost. It is the
// program of agentrun without any agents of its own: it runs scenario files, and
// builds and becomes the programs of directories that it is given.
package main

import "github.com/agentrun-dev/agentrun"

func main() { agentrun.Main(agentrun.App{}) }
