// Package tested has its findings in a test file.
package tested

// Limit is only changed by tests.
var Limit = 3
