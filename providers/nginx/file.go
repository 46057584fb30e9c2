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
	adminPath = "/drover"

	adminServer = "\nserver {\n  listen "
	nobody      = "server 127.0.0.1:1 down;" // An upstream without a server is no valid one.
	keepsAlive  = 32                         // idle connections to each upstream, of each worker

	upstreamPrefix = "drover-"
)

// Variable is the name of the variable that holds the upstream of a request of the release, with its $.
func Variable(release string) string { return "$drover_" + strategy.Symbol(release) }

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
	for _, release := range releases {
		if err := renderSplit(&body, splits[release]); err != nil {
			return nil, err
		}
		if f.copies != "" {
			renderCopied(&body, splits[release])
		}
	}
	fmt.Fprint(&body, "\nmap $https $drover_secure {\n  on \"; Secure\";\n  default \"\";\n}\n")
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

func renderSplit(b *bytes.Buffer, split strategy.Split) error {
	text, err := json.Marshal(split)
	if err != nil {
		return fmt.Errorf("write the split of %q: %w", split.Release, err)
	}
	name := strategy.Symbol(split.Release)
	fmt.Fprintf(b, "\n%s%s\n", splitLine, text)
	renderUpstream(b, name, strategy.Stable, split.Stable)
	renderUpstream(b, name, strategy.Canary, split.Canary)
	drawn := Variable(split.Release)
	if sticks(split) {
		drawn += "_drawn"
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
