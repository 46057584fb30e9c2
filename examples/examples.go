// Package examples holds release repositories that run, for the demo and for tests to load.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed checkout/releases checkout/policies
var files embed.FS

// Checkout is the release repository of the demo shop's checkout: one service under one policy.
func Checkout() (fs.FS, error) { return fs.Sub(files, "checkout") }
