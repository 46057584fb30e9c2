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
	id      string         // HAProxy's own number of it
	track   strategy.Track // "" for a server that is not ours
	alloc   string
	address string
	level   int
	serves  bool   // neither drained nor in maintenance
	closed  bool   // in maintenance, to come back: on the track that gets nothing now
	open    int    // sessions on it
	cookie  string // the value that keeps a user on it; "" when it has none
}

const (
	// closedLevel is the weight of a server in maintenance that belongs to its release, retiredLevel that of one that does not
	// any more.
	closedLevel  = maxLevel
	retiredLevel = 0
)

// retired tells whether the server was ours.
func (s server) retired() bool { return s.track != "" && !s.serves && !s.closed }

// serverName is what the server of an allocation on a track is called.
func serverName(track strategy.Track, alloc string) string { return string(track) + "-" + alloc }

// noBackendError says that HAProxy's configuration has no such backend.
type noBackendError struct{ socket, backend, folder string }

func (e noBackendError) Error() string {
	if e.folder != "" {
		return fmt.Sprintf("HAProxy at %s has no backend %q: start it with `-f %s` after its configuration, and reload it", e.socket, e.backend, e.folder)
	}
	return fmt.Sprintf("HAProxy at %s has no backend %q: add `backend %s` with `balance roundrobin` to its configuration", e.socket, e.backend, e.backend)
}

// columns of `show servers state`, version 1.
const (
	colBackend = 1
	colID      = 2
	colName    = 3
	colAddress = 4
	colAdmin   = 6
	colLevel   = 7
	colPort    = 18
)

// The bits of a server's administrative state. That its configuration had it begin in maintenance stays said for ever.
const (
	adminMaint    = 0x01 | 0x02 | 0x20 // forced, inherited, by a name that does not resolve
	adminByConfig = 0x04
)

// pool is what one process has of a release.
type pool struct {
	name    string // the backend's
	cookie  string // the name of the cookie that keeps users on their server; "" when the configuration has none
	servers []server
}

// pool reads the servers of a backend, with what its statistics say of them.
func (s socket) pool(ctx context.Context, backend string) (pool, error) {
	p := pool{name: backend}
	var err error
	if p.servers, err = s.servers(ctx, backend); err != nil {
		return p, err
	}
	// Asked after the servers: what it counts is what is open since they are as they are.
	rows, column, err := s.stats(ctx, backend, serverRows|backendRow)
	if err != nil {
		return p, err
	}
	for _, row := range rows {
		if row[column["pxname"]] != backend {
			continue
		}
		if row[column["svname"]] == "BACKEND" {
			p.cookie = row[column["cookie"]]
			continue
		}
		found := find(p.servers, row[column["svname"]])
		if found == nil {
			continue // It came since.
		}
		found.cookie = row[column["cookie"]]
		if found.open, err = strconv.Atoi(row[column["scur"]]); err != nil {
			return p, fmt.Errorf("understand the sessions of %s/%s in HAProxy at %s: %w", backend, found.name, s.name, err)
		}
	}
	return p, nil
}

// servers reads the servers of a backend.
func (s socket) servers(ctx context.Context, backend string) ([]server, error) {
	said, err := s.ask(ctx, "show servers state "+backend)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(said, "\n")
	if strings.Contains(said, "an't find backend") {
		return nil, noBackendError{s.name, backend, s.folder}
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
	s := server{name: fields[colName], id: fields[colID], address: net.JoinHostPort(fields[colAddress], fields[colPort]), level: level, serves: admin&^adminByConfig == 0}
	s.closed = admin&adminMaint != 0 && level > retiredLevel
	for _, track := range []strategy.Track{strategy.Stable, strategy.Canary} {
		if alloc, ours := strings.CutPrefix(s.name, string(track)+"-"); ours {
			s.track, s.alloc = track, alloc
		}
	}
	return s, nil
}

// endpoints is the servers of a track that serve or are to come back, in the order of splits.
func endpoints(all []server, track strategy.Track) []strategy.Endpoint {
	var found []strategy.Endpoint
	for _, s := range all {
		if s.track == track && !s.retired() {
			found = append(found, strategy.Endpoint{Alloc: s.alloc, Address: s.address})
		}
	}
	slices.SortFunc(found, func(a, b strategy.Endpoint) int { return strings.Compare(a.Alloc, b.Alloc) })
	return found
}
