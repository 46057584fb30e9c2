package haproxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/drover-dev/drover/strategy"
)

// noCookieError says that HAProxy's configuration has no cookie for a backend, by which users are kept. The line is the
// user's, since a running HAProxy is not given one; the values of the cookie are Drover's. A canary gets none of the users that
// are to be kept and cannot be, and less where it has some.
type noCookieError struct{ socket, release, backend string }

func (e noCookieError) Error() string {
	return fmt.Sprintf("HAProxy at %s keeps no users of %q on their track: add `cookie %s insert indirect nocache httponly dynamic` to its backend %q, or leave sessions = \"sticky\" out",
		e.socket, e.release, cookieName(e.release), e.backend)
}

// sessionKey is what the values of cookies are made of, with the address of the server: another one has everybody divided
// anew. At rest it is always the same.
func sessionKey(split strategy.Split) string {
	if split.Sessions != "" {
		return split.Sessions
	}
	return "drover-" + split.Release
}

// keySetting gives every server its value of the cookie, those that were just added too.
func (p pool) keySetting(key string) []change {
	if p.cookie == "" {
		return nil
	}
	return []change{
		{command: "set dynamic-cookie-key backend " + p.name + " " + key},
		{command: "enable dynamic-cookie backend " + p.name},
	}
}

// keepsUsers tells whether users stay on the servers that serve them.
func (p pool) keepsUsers() bool {
	return p.cookie != "" && !slices.ContainsFunc(p.servers, func(s server) bool { return s.track != "" && s.serves && s.cookie == "" })
}

// Lacks is what HAProxy's configuration lacks for a release, with the line to add; "" when it has all that its plan needs.
func (r *Router) Lacks(ctx context.Context, release string, plan strategy.Plan) (string, error) {
	backend := r.backend(release)
	if _, err := os.Stat(r.folder); r.folder != "" && err != nil {
		return fmt.Sprintf("Drover cannot write what HAProxy begins with: %v: make that folder, and let Drover write to it", err), nil
	}
	for _, s := range r.sockets {
		p, err := s.pool(ctx, backend)
		var none noBackendError
		switch {
		case errors.As(err, &none):
			return none.Error(), nil
		case err != nil:
			return "", fmt.Errorf("look what router %q has for %q: %w", r.name, release, err)
		case plan.Sticky && p.cookie == "":
			return noCookieError{s.name, release, backend}.Error(), nil
		}
	}
	return "", nil
}
