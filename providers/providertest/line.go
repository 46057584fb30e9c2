package providertest

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// Line is the connection of one process to a server, which a test may cut.
type Line struct {
	Next http.RoundTripper

	mu     sync.Mutex
	cut    bool
	lose   int
	bodies map[*body]bool // answers that are being read
}

// body is an answer that ends when the line is cut.
type body struct {
	io.ReadCloser
	line *Line
}

func (b *body) Close() error {
	b.line.mu.Lock()
	delete(b.line.bodies, b)
	b.line.mu.Unlock()
	return b.ReadCloser.Close()
}

var errLine = errors.New("the line is cut")

// Cut makes every request fail without having an effect, until Mend, and ends the answers that are being read.
func (l *Line) Cut() {
	l.set(true, 0)
	l.mu.Lock()
	open := l.bodies
	l.bodies = nil
	l.mu.Unlock()
	for b := range open {
		_ = b.ReadCloser.Close() // Its reader sees the end.
	}
}

// Mend lets requests through again.
func (l *Line) Mend() { l.set(false, 0) }

// Lose lets the next n requests have their effect, and loses the answers.
func (l *Line) Lose(n int) { l.set(false, n) }

func (l *Line) set(cut bool, lose int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.lose = cut, lose
}

// RoundTrip implements http.RoundTripper.
func (l *Line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	cut, lost := l.cut, l.lose > 0
	if lost {
		l.lose--
	}
	l.mu.Unlock()
	if cut {
		return nil, errLine
	}
	answer, err := l.Next.RoundTrip(r)
	if err == nil && lost {
		return nil, errors.Join(errLine, answer.Body.Close())
	}
	if err == nil {
		l.mu.Lock()
		if l.bodies == nil {
			l.bodies = map[*body]bool{}
		}
		b := &body{answer.Body, l}
		l.bodies[b] = true
		answer.Body = b
		l.mu.Unlock()
	}
	return answer, err
}
