// Package settings has variables that others read. // want package:"changes example.com/settings.Limit"
package settings

var Limit = 3 // it is changed below

var Fixed = 3

var ByOthers = 3

func Set(n int) { Limit = n } // want Set:`breaks global`
