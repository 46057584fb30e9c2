package strategy

import (
	"fmt"
	"strings"
)

// Symbol is a release's name as part of a variable's in a balancer's configuration: with _ for -, and everything else that is
// no letter or digit written out. Different names never give one symbol.
func Symbol(release string) string {
	var b strings.Builder
	for _, c := range []byte(release) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			b.WriteByte(c)
		case c == '-':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "_%02x_", c)
		}
	}
	return b.String()
}
