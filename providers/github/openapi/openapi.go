// Package openapi holds what is asked of GitHub, and what a double of it answers, against GitHub's own description of its
// API. The description is fetched by `make octokit` and is not part of this repository.
package openapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Checker compares requests and answers with the description. It is safe for concurrent use.
type Checker struct {
	doc    *openapi3.T
	routes []route
}

// route is a path of the description taken apart.
type route struct {
	parts []string
	path  string
	item  *openapi3.PathItem
}

// Load reads what repositories and apps need of a description. It takes half a second.
func Load(file string) (*Checker, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read GitHub's description of its API: %w", err)
	}
	if text, err = part(text); err != nil {
		return nil, fmt.Errorf("read GitHub's description of its API: %w", err)
	}
	// The description is not valid by its own rules (two paths of it conflict), so that it is not validated.
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("read GitHub's description of its API: %w", err)
	}
	c := &Checker{doc: doc}
	for path, item := range doc.Paths.Map() {
		c.routes = append(c.routes, route{strings.Split(strings.Trim(path, "/"), "/"), path, item})
	}
	return c, nil
}

// find is the route that a request takes, with its parameters. Of several, the one with the fewest parameters.
func (c *Checker) find(r *http.Request) (*routers.Route, map[string]string, error) {
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	var best *route
	fewest := 0
	for i := range c.routes {
		parameters, ok := c.routes[i].match(parts)
		if ok && c.routes[i].item.GetOperation(r.Method) != nil && (best == nil || len(parameters) < fewest) {
			best, fewest = &c.routes[i], len(parameters)
		}
	}
	if best == nil {
		return nil, nil, errors.New("the API has no such path, or it is none of those that are kept of the description")
	}
	parameters, _ := best.match(parts)
	return &routers.Route{Spec: c.doc, Server: &openapi3.Server{URL: "/"}, Path: best.path, PathItem: best.item, Method: r.Method, Operation: best.item.GetOperation(r.Method)}, parameters, nil
}

func (t *route) match(parts []string) (map[string]string, bool) {
	if len(parts) != len(t.parts) {
		return nil, false
	}
	parameters := map[string]string{}
	for i, part := range t.parts {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			value, err := url.PathUnescape(parts[i])
			if err != nil || value == "" {
				return nil, false
			}
			parameters[strings.TrimSuffix(name, "}")] = value
		} else if part != parts[i] {
			return nil, false
		}
	}
	return parameters, true
}

// Wrap checks every request to a handler, and every answer of it. report is called with what is wrong.
func (c *Checker) Wrap(next http.Handler, report func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			report(err)
		}
		wrong := func(what string, err error) {
			report(fmt.Errorf("%s of %s %s: %w\n%s", what, r.Method, r.URL, err, body))
		}
		input, err := c.request(r, body)
		if err != nil {
			wrong("request", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		said := httptest.NewRecorder()
		next.ServeHTTP(said, r)
		if input != nil && said.Code != http.StatusNotModified {
			if err := c.response(r.Context(), input, said); err != nil {
				wrong(fmt.Sprintf("answer %d", said.Code), err)
			}
		}
		maps.Copy(w.Header(), said.Header())
		w.WriteHeader(said.Code)
		_, _ = w.Write(said.Body.Bytes())
	})
}

func options() *openapi3filter.Options {
	return &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true}
}

func (c *Checker) request(r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	route, parameters, err := c.find(r)
	if err != nil {
		return nil, err
	}
	checked := r.Clone(r.Context())
	if string(bytes.TrimSpace(body)) == "null" {
		body = nil // The library that asks for an app's tokens says nothing in this way, and GitHub takes it.
	}
	checked.Body = io.NopCloser(bytes.NewReader(body))
	input := &openapi3filter.RequestValidationInput{Request: checked, PathParams: parameters, Route: route, Options: options()}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
		return input, err
	}
	for name := range r.URL.Query() {
		if route.Operation.Parameters.GetByInAndName("query", name) == nil && route.PathItem.Parameters.GetByInAndName("query", name) == nil {
			return input, fmt.Errorf("there is no query parameter %q", name)
		}
	}
	return input, nil
}

func (c *Checker) response(ctx context.Context, input *openapi3filter.RequestValidationInput, said *httptest.ResponseRecorder) error {
	header := said.Header().Clone()
	header.Set("Content-Type", "application/json")
	return openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: said.Code, Header: header, Options: options(), Body: io.NopCloser(bytes.NewReader(said.Body.Bytes())),
	})
}

// Folder is where `make octokit` puts what it fetches, seen from the root of this repository.
const Folder = "bin/octokit"

// File is a file that `make octokit` fetched. A missing one is a failure of the test, save under `go test -short` outside
// of CI: then it is "".
func File(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		path := filepath.Join(dir, filepath.FromSlash(Folder), name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	if testing.Short() && os.Getenv("CI") == "" {
		t.Logf("%s is not there: what is said to GitHub is not compared with its description (make octokit)", name)
		return ""
	}
	t.Fatalf("%s/%s is not there: run `make octokit`", Folder, name)
	return ""
}

var load = sync.OnceValues(func() (*Checker, error) { return Load(loaded) })

// loaded is the file that load reads; all tests of a process have the same.
var loaded string

var locate sync.Mutex

// Check makes what a hub of package githubtest takes as its Check: everything that is not as GitHub describes it fails
// the test. Under `go test -short` without the description nothing is compared.
func Check(t testing.TB) func(http.Handler) http.Handler {
	t.Helper()
	file := File(t, "api.github.com.json")
	if file == "" {
		return nil
	}
	locate.Lock()
	loaded = file
	checker, err := load()
	locate.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	return func(next http.Handler) http.Handler {
		return checker.Wrap(next, func(err error) { t.Errorf("not as GitHub describes it: %v", err) })
	}
}
