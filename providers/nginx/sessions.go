package nginx

import (
	"bytes"
	"fmt"

	"github.com/drover-dev/drover/strategy"
)

// The ends of the cookie's value, after the rollout that it is of.
const (
	markStable = ".s"
	markCanary = ".c"
)

// sticks tells whether users stay on the track that served them. Where all go to one track nobody has to be told apart.
func sticks(split strategy.Split) bool {
	w := weight(split)
	return split.Sessions != "" && w > 0 && w < strategy.Full
}

// cookie is the name of the cookie that keeps a user on a track of the release. NGINX finds only those by name that have no -.
func cookie(release string) string { return "drover_" + strategy.Symbol(release) }

// renderSessions keeps users on the track that served them: who comes without a cookie of this rollout is drawn, and gets one
// with the answer of the upstream that it came from.
//
// The variables for the answer and for what goes on to the service are there at all times, since NGINX's own configuration
// names them; with the very names that they have in a rollout, so that one that is too long for NGINX's tables is found when
// NGINX is started, and not in mid-rollout.
func renderSessions(b *bytes.Buffer, split strategy.Split) {
	variable, name, cookie := Variable(split.Release), strategy.Symbol(split.Release), cookie(split.Release)
	drawn, fresh := own("drawn", split.Release), own("new", split.Release)
	stable, canary := upstream(name, strategy.Stable), upstream(name, strategy.Canary)
	answered, setStable, setCanary := "$proxy_host", "", ""
	if sticks(split) {
		keepStable, keepCanary := split.Sessions+markStable, split.Sessions+markCanary
		fmt.Fprintf(b, "map $cookie_%s %s {\n  \"%s\" %s;\n  \"%s\" %s;\n  default %s;\n}\n",
			cookie, variable, keepStable, stable, keepCanary, canary, drawn)
		answered = fresh
		fmt.Fprintf(b, "map $cookie_%s %s {\n  \"%s\" \"\";\n  \"%s\" \"\";\n  default $proxy_host;\n}\n", cookie, answered, keepStable, keepCanary)
		const attributes = "; Path=/; HttpOnly; SameSite=Lax$drover__secure"
		setStable, setCanary = cookie+"="+keepStable+attributes, cookie+"="+keepCanary+attributes
	}
	fmt.Fprintf(b, "map %s %s%s {\n  %s \"%s\";\n  %s \"%s\";\n  default \"\";\n}\n", answered, variable, setCookieSuffix, stable, setStable, canary, setCanary)
	if sticks(split) {
		fmt.Fprintf(b, "add_header Set-Cookie %s%s always;\n", variable, setCookieSuffix)
	}
	// The user's cookies without this one.
	fmt.Fprintf(b, `map $http_cookie %[1]s {
  "~^%[2]s=[^;]*(?:; *)?(?<drover__after>.*)$" $drover__after;
  "~^(?<drover__before>.*?); *%[2]s=[^;]*(?<drover__after>.*)$" $drover__before$drover__after;
  default $http_cookie;
}
`, variable+cookiesSuffix, cookie)
}
