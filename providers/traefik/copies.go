package traefik

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// EntryPoint is the name of Traefik's entry point that copies of requests take.
	EntryPoint = "drover-copies"
	// headerShadow marks a copy of a request.
	headerShadow = "Drover-Shadow"
	// maxCopies is how many copies of a release's requests are under way at a time.
	maxCopies = 64
	// maxCopied is the largest body that is copied, in bytes.
	maxCopied = 64 << 10
	// copyTimeout is how long the head of an answer to a copy is waited for, copyPatience how long by what made the copy: what
	// the canary does not answer is to be counted as that, and not as a request that was broken off.
	copyTimeout, copyPatience = 30 * time.Second, 45 * time.Second
	// first puts a route before all that people write, whose priority is the length of their rules.
	first = 2_000_000_000
)

type mirroring struct {
	Service     string   `json:"service"`
	MirrorBody  bool     `json:"mirrorBody"`
	MaxBodySize *int     `json:"maxBodySize,omitempty"`
	Mirrors     []mirror `json:"mirrors"`
}

type mirror struct {
	Name    string `json:"name"`
	Percent int    `json:"percent"`
}

type route struct {
	EntryPoints []string `json:"entryPoints"`
	Rule        string   `json:"rule"`
	Priority    int      `json:"priority"`
	Middlewares []string `json:"middlewares,omitempty"`
	Service     string   `json:"service"`
}

type middleware struct {
	ReplacePathRegex *replacePathRegex `json:"replacePathRegex,omitempty"`
	Headers          *headers          `json:"headers,omitempty"`
	InFlightReq      *inFlightReq      `json:"inFlightReq,omitempty"`
}

type replacePathRegex struct {
	Regex       string `json:"regex"`
	Replacement string `json:"replacement"`
}

type headers struct {
	CustomRequestHeaders map[string]string `json:"customRequestHeaders"`
}

type inFlightReq struct {
	Amount          int       `json:"amount"`
	SourceCriterion criterion `json:"sourceCriterion"`
}

type criterion struct {
	RequestHeaderName string `json:"requestHeaderName"`
}

type transport struct {
	ForwardingTimeouts forwardingTimeouts `json:"forwardingTimeouts"`
}

type forwardingTimeouts struct {
	DialTimeout           string `json:"dialTimeout"`
	ResponseHeaderTimeout string `json:"responseHeaderTimeout"`
}

// copy has requests of a release copied to its canary. Traefik's mirroring takes its share of all requests, whatever their
// method, and marks none. So the copies do not go to the canary but to Traefik itself, by an entry point that nobody else
// uses and under a path that nobody asks for: there a route lets through what may be copied, marks it, and gives it its own
// path again. What it does not let through ends at a route behind it, before any of the user's own could take it: those
// that name no entry point are on this one too.
func (h *section) copy(s strategy.Split, entry string) {
	if h.Routers == nil {
		h.Routers, h.Middlewares, h.Transports = map[string]route{}, map[string]middleware{}, map[string]transport{}
	}
	divided, copies, canary, nobody := named(s.Release, "divided"), named(s.Release, "copies"), named(s.Release, string(strategy.Shadow)), named("drover", "nobody")
	path := "/" + EntryPoint + "/"

	h.Services[divided] = h.Services[s.Release]
	m := &mirroring{Service: divided, Mirrors: []mirror{{Name: copies, Percent: int((s.Copies.Percent + 99) / 100)}}}
	if withBodies(s.Copies.Methods) {
		size := maxCopied
		m.MirrorBody, m.MaxBodySize = true, &size
	}
	if part := s.Copies.Percent % 100; part > 0 { // Its percents are whole ones.
		some := named(s.Release, "some")
		m.Mirrors[0].Name = some
		h.Services[some] = service{Weighted: &weighted{Services: []weightedService{
			{copies, int(s.Copies.Percent)}, {nobody, 100*m.Mirrors[0].Percent - int(s.Copies.Percent)},
		}}}
	}
	h.Services[s.Release] = service{Mirroring: m}
	h.Services[copies] = service{LoadBalancer: &loadBalancer{
		Servers: []server{{URL: "http://" + entry + path + s.Release + "/", PreservePath: true}}, Transport: "drover-copying",
	}}
	h.Services[nobody] = service{LoadBalancer: &loadBalancer{Servers: []server{}}}
	to := balance(s.Canary, nil)
	to.Transport = EntryPoint
	h.Services[canary] = service{LoadBalancer: to}

	own, mark, limit := named(s.Release, "own-path"), named(s.Release, "mark"), named(s.Release, "limit")
	h.Middlewares[own] = middleware{ReplacePathRegex: &replacePathRegex{"^" + regexp.QuoteMeta(path+s.Release+"/"), "/"}}
	h.Middlewares[mark] = middleware{Headers: &headers{map[string]string{headerShadow: s.Release, "X-Replaced-Path": ""}}}
	h.Middlewares[limit] = middleware{InFlightReq: &inFlightReq{maxCopies, criterion{headerShadow}}}
	h.Routers[canary] = route{[]string{EntryPoint}, copied(path+s.Release+"/", s.Copies.Methods), first + 1, []string{own, mark, limit}, canary}
	h.Routers[named("drover", "not-copied")] = route{[]string{EntryPoint}, "PathPrefix(`" + path + "`)", first, nil, nobody}

	h.Transports[EntryPoint] = transport{forwardingTimeouts{"5s", copyTimeout.String()}}
	h.Transports["drover-copying"] = transport{forwardingTimeouts{"5s", copyPatience.String()}}
}

// copied is the rule of what may be copied: requests of these methods that are no copies and change no protocol. Without
// bodies a request that has one would arrive without it.
func copied(path string, methods []string) string {
	var of []string
	for _, m := range methods {
		of = append(of, "Method(`"+m+"`)")
	}
	rule := fmt.Sprintf("PathPrefix(`%s`) && (%s) && !HeaderRegexp(`%s`, `.`) && !HeaderRegexp(`Upgrade`, `.`)", path, strings.Join(of, " || "), headerShadow)
	if !withBodies(methods) {
		rule += " && !HeaderRegexp(`Content-Length`, `[1-9]`)"
	}
	return rule
}

// withBodies tells whether requests of any of these methods have bodies.
func withBodies(methods []string) bool {
	return slices.ContainsFunc(methods, func(m string) bool { return m == "POST" || m == "PUT" || m == "PATCH" || m == "DELETE" })
}

// checkCopies tells whether an address is one that Traefik can reach its entry point at.
func checkCopies(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" || strings.ContainsAny(address, "/ `") {
		return fmt.Errorf("copies is %q: give the address of Traefik's entry point %q, as Traefik itself reaches it, such as \"127.0.0.1:8091\"", address, EntryPoint)
	}
	return nil
}

// lacksEntry is what a Traefik lacks to take copies in; "" for nothing.
func (r *Router) lacksEntry(ctx context.Context, api string) (string, error) {
	var entry struct{ Address string }
	there, err := r.ask(ctx, api, "/api/entrypoints/"+EntryPoint, &entry)
	switch {
	case err != nil:
		return "", err
	case !there:
		return fmt.Sprintf("the Traefik at %s cannot copy requests without an entry point %q: give it one, at %s", api, EntryPoint, r.options.Copies), nil
	case port(r.options.Copies) != port(entry.Address):
		return fmt.Sprintf("the Traefik at %s has its entry point %q at %q, and the copies of router %q go to %s: make them one", api, EntryPoint, entry.Address, r.options.Name, r.options.Copies), nil
	}
	return "", nil
}

func port(address string) string {
	address, _, _ = strings.Cut(address, "/") // As in ":8091/tcp".
	return address[strings.LastIndexByte(address, ':')+1:]
}

// copying tells why the requests of a release are not copied, or nil.
func (r *Router) copying(ctx context.Context, release string) error {
	if r.options.Copies == "" {
		return fmt.Errorf("router %q copies no requests any more: give its block back its copies, the address of Traefik's entry point %q", r.options.Name, EntryPoint)
	}
	problems := make([]error, len(r.options.APIs))
	var group sync.WaitGroup
	for i, api := range r.options.APIs {
		group.Go(func() { problems[i] = r.copyingBy(ctx, api, release) })
	}
	group.Wait()
	return errors.Join(problems...)
}

func (r *Router) copyingBy(ctx context.Context, api, release string) error {
	lacks, err := r.lacksEntry(ctx, api)
	switch {
	case err != nil:
		return err
	case lacks != "":
		return errors.New(lacks)
	}
	var route struct {
		Status string
		Error  []string
	}
	if _, err := r.ask(ctx, api, "/api/http/routers/"+url.PathEscape(named(release, string(strategy.Shadow))+"@http"), &route); err != nil {
		return err
	}
	if route.Status != "enabled" {
		return fmt.Errorf("the Traefik at %s takes no copies of requests (%s): Drover needs Traefik 3.2 or later for that", api, strings.Join(route.Error, ", "))
	}
	return nil
}
