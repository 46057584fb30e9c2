package nginx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

const (
	heading   = "# Written by Drover: what is changed here is lost with the next split. "
	splitLine = "# split "
	moreLine  = "# more " // goes on with the split of the line before: NGINX takes no longer lines than 4096 bytes, comments neither
	longest   = 2000
	adminPath = "/drover"

	adminServer = "\nserver {\n  listen "
	nobody      = "server 127.0.0.1:1 down;" // An upstream without a server is no valid one.
	keepsAlive  = 32                         // idle connections to each upstream, of each worker

	upstreamPrefix = "drover-"
)

// Variable is the name of the variable that holds the upstream of a request of the release, with its $.
func Variable(release string) string { return "$drover_" + strategy.Symbol(release) }

// own is a variable for the file's own use. No symbol begins with _, so that it is no release's.
func own(what, release string) string { return "$drover__" + what + "_" + strategy.Symbol(release) }

// The variables that NGINX's own configuration names beside that of the upstream.
const (
	cookiesSuffix   = "_cookies"
	setCookieSuffix = "_set_cookie"
)

// Clash is two releases of which one is called as a variable of the other is; "" where there are none.
func Clash(releases []string) (one, other string) {
	of := map[string]string{}
	for _, release := range releases {
		of[Variable(release)] = release
	}
	for _, release := range slices.Sorted(slices.Values(releases)) {
		for _, suffix := range []string{cookiesSuffix, setCookieSuffix} {
			if other, there := of[Variable(release)+suffix]; there {
				return release, other
			}
		}
	}
	return "", ""
}

// format is what the file depends on beside the splits.
type format struct {
	admin  string
	copies string // where NGINX hands copies of requests to itself; "" for none
	log    string // where it tells Drover of requests; "" for nowhere
}

// render is the file for these splits.
func render(splits map[string]strategy.Split, f format) ([]byte, error) {
	var body bytes.Buffer
	releases := slices.Sorted(maps.Keys(splits))
	if one, other := Clash(releases); one != "" {
		return nil, fmt.Errorf("the releases %q and %q cannot be on one NGINX: %s would be a variable of both", one, other, Variable(other))
	}
	for _, release := range releases {
		if err := renderSplit(&body, splits[release]); err != nil {
			return nil, err
		}
		if f.copies != "" {
			renderCopied(&body, splits[release])
		}
	}
	fmt.Fprint(&body, "\nmap $https $drover__secure {\n  on \"; Secure\";\n  default \"\";\n}\n")
	if f.log != "" {
		fmt.Fprintf(&body, "\nlog_format %s '%s';\n", logFormat, logFields)
	}
	if f.copies != "" {
		renderCopying(&body, releases, splits, f)
	}
	content, _ := seal(body.String(), f.admin)
	return content, nil
}

// seal puts the checksum around the body of a file: it carries it, and NGINX says with it what it has loaded.
func seal(body, admin string) (content []byte, sum string) {
	hash := sha256.Sum256([]byte(admin + "\n" + body))
	sum = hex.EncodeToString(hash[:8])
	return fmt.Appendf(nil, "%s%s\n%s%s%s;\n  access_log off;\n  location = %s { return 200 \"%s\"; }\n  location / { return 404; }\n}\n", heading, sum, body, adminServer, admin, adminPath, sum), sum
}

// intact tells whether a file is as it was sealed, by whatever options, and with what checksum.
func intact(content []byte) (sum string, ok bool) {
	_, rest, _ := strings.Cut(string(content), "\n")
	n := strings.LastIndex(rest, adminServer)
	if n < 0 {
		return "", false
	}
	admin, _, _ := strings.Cut(rest[n+len(adminServer):], ";")
	want, sum := seal(rest[:n], admin)
	return sum, bytes.Equal(want, content)
}

// splitsOf are those that can be read in a file.
func splitsOf(content []byte) map[string]strategy.Split {
	splits := map[string]strategy.Split{}
	var text string
	end := func() {
		var split strategy.Split
		if text != "" && json.Unmarshal([]byte(text), &split) == nil && split.Release != "" {
			splits[split.Release] = split
		}
		text = ""
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		if more, is := strings.CutPrefix(line, moreLine); is {
			text += more
			continue
		}
		end()
		if first, is := strings.CutPrefix(line, splitLine); is {
			text = first
		}
	}
	end()
	return splits
}

func renderSplit(b *bytes.Buffer, split strategy.Split) error {
	text, err := json.Marshal(split)
	if err != nil {
		return fmt.Errorf("write the split of %q: %w", split.Release, err)
	}
	name := strategy.Symbol(split.Release)
	b.WriteString("\n")
	for begins := splitLine; len(text) > 0; begins = moreLine {
		n := min(len(text), longest)
		fmt.Fprintf(b, "%s%s\n", begins, text[:n])
		text = text[n:]
	}
	renderUpstream(b, name, strategy.Stable, split.Stable)
	renderUpstream(b, name, strategy.Canary, split.Canary)
	drawn := Variable(split.Release)
	if sticks(split) {
		drawn = own("drawn", split.Release)
	}
	fmt.Fprintf(b, "split_clients $request_id %s {\n", drawn)
	stable, canary := upstream(name, strategy.Stable), upstream(name, strategy.Canary)
	switch weight := weight(split); weight {
	case 0:
		fmt.Fprintf(b, "  * %s;\n", stable)
	case strategy.Full:
		fmt.Fprintf(b, "  * %s;\n", canary)
	default:
		fmt.Fprintf(b, "  %s %s;\n  * %s;\n", percent(weight), canary, stable)
	}
	fmt.Fprintln(b, "}")
	renderSessions(b, split)
	return nil
}

// weight is what the canary gets. One that nobody answers for leaves its share to stable.
func weight(split strategy.Split) strategy.Weight {
	if len(split.Canary) == 0 {
		return 0
	}
	return min(max(split.Weight, 0), strategy.Full)
}

// percent is a weight as split_clients reads it.
func percent(w strategy.Weight) string { return fmt.Sprintf("%d.%02d%%", w/100, w%100) }

func upstream(name string, track strategy.Track) string {
	return upstreamPrefix + name + "-" + string(track)
}

func renderUpstream(b *bytes.Buffer, name string, track strategy.Track, endpoints []strategy.Endpoint) {
	fmt.Fprintf(b, "upstream %s {\n", upstream(name, track))
	for _, e := range endpoints {
		fmt.Fprintf(b, "  server %s; # %s\n", e.Address, e.Alloc)
	}
	if len(endpoints) == 0 {
		fmt.Fprintf(b, "  %s\n", nobody)
	}
	fmt.Fprintf(b, "  keepalive %d;\n}\n", keepsAlive)
}
