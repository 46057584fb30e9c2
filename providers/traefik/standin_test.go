package traefik_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/drover-dev/drover/providers/traefik"
)

// standIn reads the dynamic configuration as Traefik documents it, and refuses what is not in it. It divides by smooth weighted
// round robin, as Traefik does, keeps users by the cookie of a weighted service, and mirrors requests once they are answered.
type standIn struct {
	t       testing.TB
	handler http.Handler
	entry   string // where the entry point for copies is; "" where it has none

	mu      sync.Mutex
	seen    []byte
	config  documented
	current map[string]int // of the round robin, by service and child
	mirrors sync.WaitGroup
	polls   atomic.Int64
}

// documented is the configuration in the words of Traefik's reference.
type documented struct {
	Services map[string]struct {
		LoadBalancer *struct {
			Servers []struct {
				URL          string
				PreservePath bool
			}
			HealthCheck      *struct{ Path, Interval, Timeout string }
			ServersTransport string
		}
		Weighted  *documentedWeighted
		Mirroring *documentedMirroring
	}
	Routers     map[string]documentedRouter
	Middlewares map[string]struct {
		ReplacePathRegex *struct{ Regex, Replacement string }
		Headers          *struct{ CustomRequestHeaders map[string]string }
		InFlightReq      *struct {
			Amount          int
			SourceCriterion struct{ RequestHeaderName string }
		}
	}
	ServersTransports map[string]struct {
		ForwardingTimeouts struct{ DialTimeout, ResponseHeaderTimeout string }
	}
}

type documentedWeighted struct {
	Services []struct {
		Name   string
		Weight int
	}
	Sticky *struct {
		Cookie *struct {
			Name, SameSite string
			HTTPOnly       bool
		}
	}
}

type documentedMirroring struct {
	Service     string
	MirrorBody  *bool
	MaxBodySize *int64
	Mirrors     []struct {
		Name    string
		Percent int
	}
}

type documentedRouter struct {
	EntryPoints []string
	Rule        string
	Priority    int
	Middlewares []string
	Service     string
}

// poll asks for the configuration, as the HTTP provider does.
func (s *standIn) poll() {
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.RemoteAddr = "10.0.0.1:" + strconv.FormatInt(s.polls.Add(1), 10) // A connection of its own is answered at once.
	s.handler.ServeHTTP(answer, request)
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer.Code != http.StatusOK || bytes.Equal(s.seen, answer.Body.Bytes()) {
		return
	}
	s.seen = answer.Body.Bytes()
	var config struct{ HTTP documented }
	decoder := json.NewDecoder(bytes.NewReader(s.seen))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&config); err != nil {
		s.t.Errorf("Traefik would not take its configuration: %v", err)
	}
	s.config, s.current = config.HTTP, map[string]int{}
}

// read is the configuration that is loaded.
func (s *standIn) read() documented {
	s.poll()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.config
}

// api is the part of Traefik's API that is asked.
func (s *standIn) api(w http.ResponseWriter, r *http.Request) {
	config := s.read()
	path := r.URL.Path
	name, at := strings.CutSuffix(path[strings.LastIndexByte(path, '/')+1:], "@http")
	var answer any
	there := false
	switch {
	case path == "/api/version":
		there = true
	case path == "/api/rawdata":
		answer, there = map[string]any{"routers": map[string]any{"shop@file": map[string]string{"service": "shop@http"}}}, true
	case path == "/api/entrypoints/"+traefik.EntryPoint:
		answer, there = map[string]string{"name": traefik.EntryPoint, "address": s.entry}, s.entry != ""
	case at && strings.HasPrefix(path, "/api/http/services/"):
		answer, there = config.Services[name]
	case at && strings.HasPrefix(path, "/api/http/routers/"):
		route, known := config.Routers[name]
		answer, there = map[string]any{"status": "enabled"}, known
		if s.entry == "" || !slices.Equal(route.EntryPoints, []string{traefik.EntryPoint}) {
			answer = map[string]any{"status": "disabled", "error": []string{"no valid entryPoint for this router"}}
		}
	}
	if !there {
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// users routes a host to the service of its name.
func (s *standIn) users(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.read(), r.Host) }

// shadow is the entry point for copies: the routes that name it, and then those of users, which name none.
func (s *standIn) shadow(w http.ResponseWriter, r *http.Request) {
	config := s.read()
	var routes []documentedRouter
	for _, route := range config.Routers {
		if slices.Contains(route.EntryPoints, traefik.EntryPoint) {
			routes = append(routes, route)
		}
	}
	slices.SortFunc(routes, func(a, b documentedRouter) int { return cmp.Compare(b.Priority, a.Priority) })
	for _, route := range routes {
		rule, err := parser.ParseExpr(route.Rule) // Traefik reads rules by the syntax of Go too.
		if err != nil {
			s.t.Errorf("Traefik would not take the rule %s: %v", route.Rule, err)
			return
		}
		if !s.matches(rule, r) {
			continue
		}
		for _, name := range route.Middlewares {
			s.change(r, config, name)
		}
		s.serve(w, r, config, route.Service)
		return
	}
	s.serve(w, r, config, r.Host)
}

// matches evaluates a rule.
func (s *standIn) matches(rule ast.Expr, r *http.Request) bool {
	switch rule := rule.(type) {
	case *ast.ParenExpr:
		return s.matches(rule.X, r)
	case *ast.UnaryExpr:
		return !s.matches(rule.X, r)
	case *ast.BinaryExpr:
		if rule.Op == token.LOR {
			return s.matches(rule.X, r) || s.matches(rule.Y, r)
		}
		return s.matches(rule.X, r) && s.matches(rule.Y, r)
	case *ast.CallExpr:
		var values []string
		for _, value := range rule.Args {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				s.t.Errorf("Traefik would not take a rule: %v", err)
			}
			values = append(values, text)
		}
		switch name := rule.Fun.(*ast.Ident).Name; name {
		case "PathPrefix":
			return strings.HasPrefix(r.URL.Path, values[0])
		case "Method":
			return r.Method == values[0]
		case "HeaderRegexp":
			return slices.ContainsFunc(r.Header.Values(values[0]), regexp.MustCompile(values[1]).MatchString)
		default:
			s.t.Errorf("Traefik knows no matcher %s", name)
		}
	}
	return false
}

// change does to a request what a middleware does.
func (s *standIn) change(r *http.Request, config documented, name string) {
	m, known := config.Middlewares[name]
	switch {
	case !known:
		s.t.Errorf("Traefik knows no middleware %q", name)
	case m.ReplacePathRegex != nil:
		r.Header.Add("X-Replaced-Path", r.URL.Path)
		r.URL.Path = regexp.MustCompile(m.ReplacePathRegex.Regex).ReplaceAllString(r.URL.Path, m.ReplacePathRegex.Replacement)
		r.URL.RawPath = ""
	case m.Headers != nil:
		for key, value := range m.Headers.CustomRequestHeaders {
			if r.Header.Set(key, value); value == "" {
				r.Header.Del(key)
			}
		}
	case m.InFlightReq != nil && (m.InFlightReq.Amount <= 0 || r.Header.Get(m.InFlightReq.SourceCriterion.RequestHeaderName) == ""):
		s.t.Errorf("Traefik could not limit the requests under way by %+v", *m.InFlightReq)
	}
}

// serve has a service answer.
func (s *standIn) serve(w http.ResponseWriter, r *http.Request, config documented, name string) {
	service := config.Services[name]
	switch {
	case service.Weighted != nil:
		s.serve(w, r, config, s.weigh(w, r, config, name, service.Weighted))
	case service.Mirroring != nil:
		s.mirror(w, r, config, name, service.Mirroring)
	case service.LoadBalancer != nil && len(service.LoadBalancer.Servers) > 0:
		transport := service.LoadBalancer.ServersTransport
		if _, known := config.ServersTransports[transport]; transport != "" && !known {
			s.t.Errorf("Traefik knows no transport %q", transport)
		}
		s.mu.Lock()
		s.current[name]++
		server := service.LoadBalancer.Servers[s.current[name]%len(service.LoadBalancer.Servers)]
		s.mu.Unlock()
		target, err := url.Parse(server.URL)
		if err != nil {
			s.t.Errorf("a server's URL: %v", err)
			return
		}
		if !server.PreservePath {
			target.Path = ""
		}
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, r)
	default:
		http.Error(w, "no available server", http.StatusServiceUnavailable)
	}
}

// weigh draws one of the services of a weighted one.
func (s *standIn) weigh(w http.ResponseWriter, r *http.Request, config documented, name string, weighted *documentedWeighted) string {
	var sticky string
	if weighted.Sticky != nil {
		sticky = weighted.Sticky.Cookie.Name
		if cookie, err := r.Cookie(sticky); err == nil && config.Services[cookie.Value].LoadBalancer != nil {
			return cookie.Value
		}
	}
	s.mu.Lock()
	best, total := "", 0
	for _, child := range weighted.Services {
		key := name + "/" + child.Name
		total += child.Weight
		if s.current[key] += child.Weight; best == "" || s.current[key] > s.current[name+"/"+best] {
			best = child.Name
		}
	}
	s.current[name+"/"+best] -= total
	s.mu.Unlock()
	if sticky != "" {
		http.SetCookie(w, &http.Cookie{Name: sticky, Value: best, Path: "/"})
	}
	return best
}

// mirror has a service answer, and copies the request to its mirrors then: with its body where that is said, and is not too
// long.
func (s *standIn) mirror(w http.ResponseWriter, r *http.Request, config documented, name string, m *documentedMirroring) {
	s.mu.Lock()
	var turns []string
	s.current[name]++
	for _, to := range m.Mirrors {
		if key := name + "/" + to.Name; s.current[key]*100 < s.current[name]*to.Percent {
			s.current[key]++
			turns = append(turns, to.Name)
		}
	}
	s.mu.Unlock()
	var body []byte
	if len(turns) > 0 && (m.MirrorBody == nil || *m.MirrorBody) {
		limit := int64(-1)
		if m.MaxBodySize != nil {
			limit = *m.MaxBodySize
		}
		if limit < 0 {
			s.t.Error("Traefik would keep bodies of any size in memory")
			limit = 1 << 20
		}
		body, _ = io.ReadAll(io.LimitReader(r.Body, limit+1))
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), r.Body))
		if int64(len(body)) > limit {
			turns = nil
		}
	}
	s.serve(w, r.Clone(r.Context()), config, m.Service)
	if r.Context().Err() != nil {
		return
	}
	for _, to := range turns {
		twin := r.Clone(context.WithoutCancel(r.Context()))
		twin.Body = io.NopCloser(bytes.NewReader(body))
		s.mirrors.Go(func() { s.serve(httptest.NewRecorder(), twin, config, to) })
	}
}
