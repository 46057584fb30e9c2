package nginx

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

const (
	// headerShadow marks a copy of a request, so that the endpoint, and what it asks itself, can tell.
	headerShadow = "Drover-Shadow"
	// maxCopies is how many copies are under way at a time, over all releases.
	maxCopies = 64
	// copySeconds is how long an answer to a copy is waited for, each time that it makes no progress.
	copySeconds = 30
	// copiedLength matches the length of a body that is copied, which is at most 64 KiB.
	copiedLength = "(?:[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-6])"

	mirrored = "/drover-copy-" // the location that takes copies of a release in, whose name follows
	handed   = "/drover-copy"  // the one that asks the canary
)

// copying tells whether requests are copied to the canary.
func copying(split strategy.Split) bool {
	return split.Copies != nil && split.Copies.Percent > 0 && len(split.Canary) > 0
}

// bodies tells whether requests are copied that have a body.
func bodies(c *strategy.Copies) bool {
	return slices.ContainsFunc(c.Methods, func(method string) bool { return method != "GET" && method != "HEAD" && method != "OPTIONS" })
}

// renderCopied draws which requests of a release are copied: those of the methods listed that change no protocol and are no
// copies themselves. Where no method is listed that has a body, they have none.
func renderCopied(b *bytes.Buffer, split strategy.Split) {
	whether, drawn := own("copy", split.Release), own("copied", split.Release)
	if !copying(split) {
		fmt.Fprintf(b, "map \"\" %s {\n  default \"\";\n}\n", whether)
		return
	}
	fmt.Fprintf(b, "upstream %s {\n", upstream(strategy.Symbol(split.Release), strategy.Shadow))
	for _, e := range split.Canary {
		fmt.Fprintf(b, "  server %s max_fails=0; # %s\n", e.Address, e.Alloc)
	}
	fmt.Fprintf(b, "}\nsplit_clients \"$request_id copy\" %s {\n", drawn)
	if split.Copies.Percent < strategy.Full {
		fmt.Fprintf(b, "  %s 1;\n  * \"\";\n}\n", percent(split.Copies.Percent))
	} else {
		fmt.Fprint(b, "  * 1;\n}\n")
	}
	fmt.Fprintf(b, "map \"$request_method:$content_length:$http_transfer_encoding:$http_upgrade:$http_drover_shadow\" %s {\n", whether)
	if bodies(split.Copies) {
		fmt.Fprintf(b, "  \"~^(?:%s):%s:[^:]*::$\" %s;\n", strings.Join(split.Copies.Methods, "|"), copiedLength, drawn)
	} else {
		for _, method := range split.Copies.Methods {
			fmt.Fprintf(b, "  %[1]s:::: %[2]s;\n  %[1]s:0::: %[2]s;\n", method, drawn)
		}
	}
	fmt.Fprint(b, "  default \"\";\n}\n")
}

// renderCopying is the server that NGINX hands copies to, which answers at once and asks the canary then. A user's next request
// waits until the copy of the one before is answered: here that is never the canary's doing. What is over the limit is refused
// and asks nobody.
func renderCopying(b *bytes.Buffer, releases []string, splits map[string]strategy.Split, f format) {
	fmt.Fprint(b, "\nmap $http_drover_shadow $drover__shadow {\n")
	for _, release := range releases {
		to := `""`
		if copying(splits[release]) {
			to = upstream(strategy.Symbol(release), strategy.Shadow)
		}
		fmt.Fprintf(b, "  %s %s;\n", release, to)
	}
	logs := "access_log off;"
	if f.log != "" {
		logs = fmt.Sprintf("access_log syslog:server=%s,nohostname,tag=%s %s;\n    log_subrequest on;", f.log, logFormat, logFormat)
	}
	fmt.Fprintf(b, `  default "";
}
limit_conn_zone $server_port zone=drover_copies:64k;
server {
  listen %[1]s;
  access_log off;
  error_page 418 %[2]s; # None of those that may be set for all servers.
  client_max_body_size 64k;
  client_body_buffer_size 64k;
  location / {
    if ($drover__shadow = "") { return 204; }
    mirror %[2]s;
    mirror_request_body on;
    limit_conn drover_copies %[3]d;
    limit_conn_log_level info;
    root /drover/answers/nothing;
    log_not_found off;
  }
  location = %[2]s {
    internal;
    proxy_pass http://$drover__shadow$request_uri;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_ignore_client_abort on;
    proxy_intercept_errors off;
    proxy_next_upstream off;
    proxy_cache off;
    proxy_connect_timeout %[4]ds;
    proxy_send_timeout %[4]ds;
    proxy_read_timeout %[4]ds;
    %[5]s
  }
}
`, f.copies, handed, maxCopies, copySeconds, logs)
}

// beside is the files that NGINX's own configuration includes for the copies of a release: one in the location whose requests
// are copied, which has them copied while that is asked for, and one in the location that takes the copies in.
func beside(path, release string) (mirror, copied string) {
	stem := strings.TrimSuffix(path, ".conf") + "." + release
	return stem + ".mirror", stem + ".copy" // No .conf, which a pattern might include elsewhere.
}

// renderMirror is the first of them.
func renderMirror(split strategy.Split) []byte {
	if !copying(split) {
		return fmt.Appendf(nil, "%s\n", strings.TrimSpace(heading))
	}
	whether := "off"
	if bodies(split.Copies) {
		whether = "on"
	}
	return fmt.Appendf(nil, "%s\nmirror %s%s;\nmirror_request_body %s;\n", strings.TrimSpace(heading), mirrored, split.Release, whether)
}

// renderCopy is the second.
func renderCopy(release, copies string) []byte {
	return fmt.Appendf(nil, `%s
internal;
if (%s = "") { return 204; }
proxy_pass http://%s$request_uri;
proxy_set_header %s %s;
proxy_connect_timeout 1s;
proxy_send_timeout 1s;
proxy_read_timeout 1s;
proxy_next_upstream off;
proxy_cache off;
access_log off;
`, strings.TrimSpace(heading), own("copy", release), copies, headerShadow, release)
}
