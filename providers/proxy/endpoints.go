package proxy

import (
	"net/http"
	"strings"
	"sync"
)

const (
	maxEndpoints  = 50 // labels a release, besides the one for the rest
	labelSegments = 2
	otherEndpoint = "other"
)

// endpoints names what requests ask for, in a bounded number of labels: the method and the first parts of the path,
// identifiers replaced. It is safe for concurrent use.
type endpoints struct {
	mu    sync.RWMutex
	known map[string]struct{}
}

// label is the name for a request that was answered with status. A path that was not found makes no new name, so that
// somebody who tries paths does not use them up.
func (e *endpoints) label(method, path string, status int) string {
	label := endpointLabel(method, path)
	e.mu.RLock()
	_, known := e.known[label]
	full := len(e.known) >= maxEndpoints
	e.mu.RUnlock()
	if known {
		return label
	}
	if full || status == http.StatusNotFound {
		return otherEndpoint
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.known[label]; !known && len(e.known) >= maxEndpoints {
		return otherEndpoint
	}
	if e.known == nil {
		e.known = map[string]struct{}{}
	}
	e.known[label] = struct{}{}
	return label
}

func endpointLabel(method, path string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "OTHER"
	}
	var label strings.Builder
	label.WriteString(method)
	label.WriteByte(' ')
	rest, written := strings.Trim(path, "/"), 0
	for rest != "" && written < labelSegments {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		if segment == "" {
			continue
		}
		label.WriteByte('/')
		if isIdentifier(segment) {
			segment = ":id"
		}
		label.WriteString(segment)
		written++
	}
	if written == 0 {
		label.WriteByte('/')
	}
	return label.String()
}

// isIdentifier tells whether a part of a path names one thing among many. Words are letters, with dots, dashes and
// underscores; v1 is a word too.
func isIdentifier(segment string) bool {
	const longest = 32
	if len(segment) > longest {
		return true
	}
	word := segment
	if len(segment) >= 2 && len(segment) <= 3 && segment[0] == 'v' {
		word = strings.TrimRight(segment, "0123456789")
	}
	for i := range len(word) {
		c := word[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && c != '-' && c != '_' && c != '.' {
			return true
		}
	}
	return false
}
