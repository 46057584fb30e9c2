//go:build linux || darwin || freebsd || netbsd || openbsd

package proxy

import "syscall"

// canProbe tells whether kept connections can be looked at before they are used.
const canProbe = true

// isQuiet tells whether nothing came on an idle connection: neither its end nor an answer to no request, which would
// be taken for the answer to the next one. What came is not taken out.
func isQuiet(raw syscall.RawConn) bool {
	quiet := false
	err := raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && quiet
}
