package haproxy

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// server is one server of a backend, as HAProxy has it.
type server struct {
	name    string
	track   strategy.Track // "" for a server that is not ours
	alloc   string
	address string
	level   int
	serves  bool // neither drained nor in maintenance
}

// serverName is what the server of an allocation on a track is called.
func serverName(track strategy.Track, alloc string) string { return string(track) + "-" + alloc }

// columns of `show servers state`, version 1.
const (
	colBackend = 1
	colName    = 3
	colAddress = 4
	colAdmin   = 6
	colLevel   = 7
	colPort    = 18
)

// servers reads the servers of a backend.
func (s socket) servers(ctx context.Context, backend string) ([]server, error) {
	said, err := s.ask(ctx, "show servers state "+backend)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(said, "\n")
	if strings.Contains(said, "an't find backend") {
		return nil, fmt.Errorf("HAProxy at %s has no backend %q: add `backend %s` with `balance roundrobin` to its configuration", s.name, backend, backend)
	}
	if len(lines) < 2 || strings.TrimSpace(lines[0]) != "1" {
		return nil, fmt.Errorf("HAProxy at %s lists servers in a form that is not known: %.80q", s.name, said)
	}
	var all []server
	for _, line := range lines[2:] {
		fields := strings.Fields(line)
		if len(fields) <= colPort || fields[colBackend] != backend {
			continue
		}
		made, err := readServer(fields)
		if err != nil {
			return nil, fmt.Errorf("understand what HAProxy at %s says of %s/%s: %w", s.name, backend, fields[colName], err)
		}
		all = append(all, made)
	}
	return all, nil
}

func readServer(fields []string) (server, error) {
	level, err := strconv.Atoi(fields[colLevel])
	if err != nil {
		return server{}, fmt.Errorf("weight: %w", err)
	}
	admin, err := strconv.Atoi(fields[colAdmin])
	if err != nil {
		return server{}, fmt.Errorf("state: %w", err)
	}
	s := server{name: fields[colName], address: net.JoinHostPort(fields[colAddress], fields[colPort]), level: level, serves: admin == 0}
	for _, track := range []strategy.Track{strategy.Stable, strategy.Canary} {
		if alloc, ours := strings.CutPrefix(s.name, string(track)+"-"); ours {
			s.track, s.alloc = track, alloc
		}
	}
	return s, nil
}

// endpoints is the servers of a track that serve, in the order of splits.
func endpoints(all []server, track strategy.Track) []strategy.Endpoint {
	var found []strategy.Endpoint
	for _, s := range all {
		if s.track == track && s.serves {
			found = append(found, strategy.Endpoint{Alloc: s.alloc, Address: s.address})
		}
	}
	slices.SortFunc(found, func(a, b strategy.Endpoint) int { return strings.Compare(a.Alloc, b.Alloc) })
	return found
}
