package git

import (
	"strings"
	"unicode"
)

// maxProgress is how much of a remote's words is kept, in bytes.
const maxProgress = 8 << 10

// progress keeps the first words of a remote; it is written to by one goroutine.
type progress struct {
	text []byte
}

// Write never fails: what is over the bound is dropped.
func (p *progress) Write(b []byte) (int, error) {
	p.text = append(p.text, b[:min(len(b), maxProgress-len(p.text))]...)
	return len(b), nil
}

// String is what the remote said, without what only moves a cursor and without empty lines.
func (p *progress) String() string {
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(string(p.text), "")) {
		line = strings.TrimSuffix(line, "\n")
		line = strings.TrimSuffix(line, "\r")
		line = line[strings.LastIndex(line, "\r")+1:] // what went before was overwritten
		line = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) && r != '\t' {
				return -1
			}
			return r
		}, line))
		if line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
