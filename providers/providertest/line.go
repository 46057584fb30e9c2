package providertest

import (
	"errors"
	"net/http"
	"sync"
)

// Line is the connection of one process to a server, which a test may cut.
type Line struct {
	Next http.RoundTripper

	mu   sync.Mutex
	cut  bool
	lose int
}

var errLine = errors.New("the line is cut")

// Cut makes every request fail without having an effect, until Mend.
func (l *Line) Cut() { l.set(true, 0) }

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
	return answer, err
}
