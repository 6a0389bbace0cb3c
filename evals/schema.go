package evals

import (
	_ "embed"
	"slices"
)

var (
	//go:embed recording.schema.json
	recordingSchema []byte
	//go:embed suite.schema.json
	suiteSchema []byte
)

// RecordingSchema returns the JSON Schema (2020-12) of recordings. [Read] checks more
// than a schema can say.
func RecordingSchema() []byte { return slices.Clone(recordingSchema) }

// SuiteSchema returns the JSON Schema (2020-12) of suites, for editors. [LoadSuite]
// checks more than a schema can say.
func SuiteSchema() []byte { return slices.Clone(suiteSchema) }
