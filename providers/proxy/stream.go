package proxy

import (
	"io"
	"strings"
	"sync/atomic"
)

// stream is the body of an answer that has no end of its own: the events that a server sends. It can be ended in order, so
// that its user asks again, and is answered elsewhere.
type stream struct {
	io.ReadCloser
	left  atomic.Bool
	close func()
}

// Read is what goes to the user.
func (s *stream) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	if err != nil && s.left.Load() {
		err = io.EOF
	}
	return n, err
}

// Close ends it.
func (s *stream) Close() error {
	s.close()
	return s.ReadCloser.Close()
}

// part ends what is read.
func (s *stream) part(string) {
	s.left.Store(true)
	_ = s.ReadCloser.Close() // Which ends the read that waits.
}

// isStream tells whether an answer of this type goes on for as long as both sides live.
func isStream(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "text/event-stream")
}
