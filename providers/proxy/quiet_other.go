//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package proxy

import "syscall"

// canProbe tells whether kept connections can be looked at before they are used. Where they cannot, http.Transport has
// all requests.
const canProbe = false

func isQuiet(syscall.RawConn) bool { return false }
