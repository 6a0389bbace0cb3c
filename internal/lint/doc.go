// Package lint holds the rules of this module that no other tool knows: which package may import
// which, that tests do not sleep, that what is public is documented. Its tests apply them to the
// whole tree, so that go test is all it takes to learn that a rule is broken; each rule also has a
// test that shows it a small sin and expects to be told.
//
//	arrows.go   Arrows: imports go down the layers (the table in layers.go), tests included
//	source.go   rules on one Go file: Sleeps, Prints, Notes, Length
//	docs.go     rules on one package: PackageDoc, Examples, Comments
//	tree.go     what is read: Packages, Files, and MachinePaths, the rule on all files
//
// A rule is a function that returns findings, a line each, empty when all is well. To add one, write
// it beside its kind, and add it to TestTree and TestRules.
package lint
