package proxy

import (
	"net/http"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// cookiePrefix begins the name of the cookie that keeps a user on a track; the release's name follows.
const cookiePrefix = "drover_"

// The ends of the cookie's value, after the rollout that it is of.
const (
	markStable = ".s"
	markCanary = ".c"
)

// sticks tells whether users stay on the track that served them. Where all go to one track nobody has to be told apart.
func (l *lane) sticks() bool {
	return l.split.Sessions != "" && l.split.Weight > 0 && l.split.Weight < strategy.Full
}

// cookieName is the name of the release's cookie.
func (l *lane) cookieName() string { return cookiePrefix + l.split.Release }

// kept is the track that the request's cookie asks for; nil when it carries none of the present rollout.
func (l *lane) kept(r *http.Request, now time.Time) *track {
	cookie, err := r.Cookie(l.cookieName())
	if err != nil {
		return nil
	}
	switch cookie.Value {
	case l.split.Sessions + markStable:
		return &l.stable
	case l.split.Sessions + markCanary:
		if len(l.canary.backends) > 0 && (l.canary.ready(now) || !l.stable.ready(now)) {
			return &l.canary
		}
		return &l.stable // As long as the canary cannot: the cookie stays what it is.
	}
	return nil
}

// keep puts the cookie into the answer to a user's first request.
func (x *exchange) keep(answer http.Header, secure bool) {
	mark := markStable
	if x.track == &x.lane.canary {
		mark = markCanary
	}
	cookie := http.Cookie{
		Name: x.lane.cookieName(), Value: x.lane.split.Sessions + mark, Path: "/",
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
	answer.Add("Set-Cookie", cookie.String())
}

// withoutCookie takes the proxy's own cookie out of what goes to the endpoint.
func withoutCookie(header http.Header, name string) {
	lines := header["Cookie"]
	kept := lines[:0]
	for _, line := range lines {
		if !strings.Contains(line, name+"=") {
			kept = append(kept, line)
			continue
		}
		var pairs []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			if key, _, _ := strings.Cut(pair, "="); key != name && pair != "" {
				pairs = append(pairs, pair)
			}
		}
		if len(pairs) > 0 {
			kept = append(kept, strings.Join(pairs, "; "))
		}
	}
	if len(kept) == 0 {
		delete(header, "Cookie")
		return
	}
	header["Cookie"] = kept
}
