package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// The client's token is in the environment, unless a file is named.
const tokenVariable = "DROVER_TOKEN"

// guard lets through who shows the token, from this machine: the token would travel in plain text from elsewhere. The
// token is read for every request, so that one that was replaced holds at once.
func guard(token secret, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !token.given() {
			http.Error(w, "commands are not taken over HTTP: set token_env or token_file in the http block, or use the socket", http.StatusForbidden)
			return
		}
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err != nil || !isLoopback(host) {
			http.Error(w, "commands are taken from this machine only, since the token would travel in plain text: use ssh, or a proxy with TLS beside Drover", http.StatusForbidden)
			return
		}
		want, err := token.read()
		if err != nil {
			http.Error(w, "the daemon's own token cannot be read: see its configuration", http.StatusInternalServerError)
			return
		}
		// The name of the scheme may be written in any way, and space at the end of a header does not arrive.
		scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !same(strings.TrimSpace(shown), strings.TrimSpace(want)) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="drover"`)
			http.Error(w, "the token is missing or wrong: give it in "+tokenVariable+" or -token-file", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// same compares in a time that tells nothing of either.
func same(a, b string) bool {
	hashA, hashB := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(hashA[:], hashB[:]) == 1
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// overHTTP is the daemon at an address, with the token of the environment or of a file.
func overHTTP(address, tokenFile string) (*daemon, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("-address %q is no http:// or https:// address, such as http://127.0.0.1:9090", address)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("-address %s would carry the token in plain text: use https, or run this on the machine of the daemon", u.Redacted())
	}
	token := secret{block: "drover", name: "token", env: tokenVariable}
	if tokenFile != "" {
		token = secret{block: "drover", name: "token", file: tokenFile}
	} else if os.Getenv(tokenVariable) == "" {
		return nil, errors.New("-address needs the token of the daemon's http block: set " + tokenVariable + ", or name its file with -token-file")
	}
	text, err := token.read()
	if err != nil {
		return nil, err
	}
	return &daemon{
		client: &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		url:    strings.TrimSuffix(u.String(), "/"), token: text, where: u.Redacted(),
		remedy: "is drover run up, and is that what its http block listens on?",
	}, nil
}
