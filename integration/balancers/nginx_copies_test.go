package balancers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy"
)

// manual is the last configuration for NGINX of docs/traffic.md, which has all that NGINX can do, with the addresses and files
// of a test.
func manual(t *testing.T, u *underTest) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "traffic.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## nginx\n")
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) == 0 {
		t.Fatal("the manual has no configuration for NGINX")
	}
	text := blocks[len(blocks)-1][1]
	for old, replacement := range map[string]string{"listen 8080;": "listen " + u.edge + ";", "/etc/nginx/drover/": u.dir + "/", "127.0.0.1:8082": u.log} {
		if !strings.Contains(text, old) {
			t.Fatalf("the manual's configuration lacks %q:\n%s", old, text)
		}
		text = strings.ReplaceAll(text, old, replacement)
	}
	return text
}

const checkout = "checkout-api"

// endpoint is an allocation that answers as a test wants.
func endpoint(t *testing.T, alloc string, answer http.HandlerFunc) []strategy.Endpoint {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return []strategy.Endpoint{{Alloc: alloc, Address: strings.TrimPrefix(server.URL, "http://")}}
}

// ask makes one request over the client's connections and gives the answer, with the cookies that it sets.
func ask(t *testing.T, client *http.Client, method, url, body string, header ...string) (status int, set []string, said string) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, content)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header["Set-Cookie"], string(text)
}

// TestManualOfNGINX: by the manual's configuration users are kept, which the service does not see, and requests are copied as
// they are.
func TestManualOfNGINX(t *testing.T) {
	u := runNGINX(t, func(u *underTest) string { return manual(t, u) }, checkout)
	client := &http.Client{Timeout: time.Minute}
	t.Cleanup(client.CloseIdleConnections)
	got := make(chan string, 100)
	split := strategy.Split{Release: checkout, Namespace: "default", Service: checkout, Weight: strategy.Percent(50), Sessions: "checkout-api-r1"}
	split.Stable = endpoint(t, "one", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "one:"+r.Header.Get("Cookie")) })
	split.Canary = endpoint(t, "two", func(w http.ResponseWriter, r *http.Request) {
		if mark := r.Header.Get("Drover-Shadow"); mark != "" {
			body, _ := io.ReadAll(r.Body)
			got <- strings.Join([]string{mark, r.Host, r.Method, r.RequestURI, r.Header.Get("Cookie"), string(body[:min(len(body), 20)])}, " ")
		}
		_, _ = io.WriteString(w, "two:"+r.Header.Get("Cookie"))
	})
	u.apply(t, split)
	const attributes = "; Path=/; HttpOnly; SameSite=Lax"
	for range 20 {
		_, set, said := ask(t, client, http.MethodGet, "http://"+u.edge+"/", "", "Cookie", "a=1; drover_checkout_api=another.c; b=2")
		alloc, cookies, _ := strings.Cut(said, ":")
		mark := map[string]string{"one": ".s", "two": ".c"}[alloc]
		if want := []string{"drover_checkout_api=checkout-api-r1" + mark + attributes}; !slices.Equal(set, want) || cookies != "a=1; b=2" {
			t.Fatalf("%s was sent the cookies %q and the user %q, want %q", alloc, cookies, set, want)
		}
		for range 5 {
			_, set, said = ask(t, client, http.MethodGet, "http://"+u.edge+"/", "", "Cookie", "drover_checkout_api=checkout-api-r1"+mark)
			if said != alloc+":" || set != nil {
				t.Fatalf("a user of %s was answered %q, and given %q", alloc, said, set)
			}
		}
	}

	split.Weight, split.Sessions = 0, ""
	copied := func(methods []string, want ...string) {
		t.Helper()
		split.Copies = &strategy.Copies{Percent: strategy.Full, Methods: methods}
		u.apply(t, split)
		edge := "http://" + u.edge
		for _, request := range [][]string{
			{http.MethodGet, "/a%2Fb/?x=%20y", "", "Cookie", "drover_checkout_api=checkout-api-r1.c; b=2"},
			{http.MethodGet, "/body", "some"},
			{http.MethodPost, "/post", "hello"},
			{http.MethodPut, "/put", "hello"},
			{http.MethodPost, "/large", strings.Repeat("x", 65537)},
			{http.MethodPost, "/less", strings.Repeat("x", 65536)},
			{http.MethodGet, "/other", "", "Upgrade", "other"},
			{http.MethodGet, "/copy", "", "Drover-Shadow", "another"},
			{http.MethodGet, "/drover-copy-checkout-api", ""},
			{http.MethodGet, "/last", ""},
		} {
			status, _, said := ask(t, client, request[0], edge+request[1], request[2], request[3:]...)
			if internal := strings.HasPrefix(request[1], "/drover"); internal != (status == http.StatusNotFound) || internal == strings.HasPrefix(said, "one:") {
				t.Errorf("%s %s was answered %q with status %d", request[0], request[1], said, status)
			}
		}
		var all []string
		for range want {
			select {
			case one := <-got:
				all = append(all, one)
			case <-time.After(time.Minute):
				t.Fatalf("copied was %q, want %q", all, want)
			}
		}
		slices.Sort(all)
		slices.Sort(want)
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("copies of %v (-want +got):\n%s", methods, diff)
		}
	}
	copied([]string{"GET"}, "checkout-api 127.0.0.1 GET /a%2Fb/?x=%20y b=2 ", "checkout-api 127.0.0.1 GET /last  ")
	copied([]string{"GET", "POST"}, "checkout-api 127.0.0.1 GET /a%2Fb/?x=%20y b=2 ", "checkout-api 127.0.0.1 GET /body  some", "checkout-api 127.0.0.1 GET /last  ",
		"checkout-api 127.0.0.1 POST /post  hello", "checkout-api 127.0.0.1 POST /less  "+strings.Repeat("x", 20))
}

// TestNGINXHasNobodyWaitForCopies: users' requests over one connection are answered while the canary answers none of their
// copies, and no more of those are under way than may be.
func TestNGINXHasNobodyWaitForCopies(t *testing.T) {
	u := runNGINX(t, func(u *underTest) string { return manual(t, u) }, checkout)
	over, asked := make(chan struct{}), atomic.Int64{}
	split := strategy.Split{Release: checkout, Namespace: "default", Service: checkout, Copies: &strategy.Copies{Percent: strategy.Full, Methods: []string{"GET"}}}
	split.Stable = endpoint(t, "one", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "one") })
	split.Canary = endpoint(t, "two", func(_ http.ResponseWriter, _ *http.Request) { asked.Add(1); <-over })
	t.Cleanup(func() { close(over) })
	u.apply(t, split)
	// A request that waits for a copy is answered after 30 seconds.
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1}}
	t.Cleanup(client.CloseIdleConnections)
	began := time.Now()
	const requests = 300
	for range requests {
		if _, _, said := ask(t, client, http.MethodGet, "http://"+u.edge+"/", ""); said != "one" {
			t.Fatalf("a user was answered %q", said)
		}
	}
	t.Logf("%d requests took %v", requests, time.Since(began))
	for deadline := time.Now().Add(20 * time.Second); asked.Load() < 64; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d copies are under way, want 64", asked.Load())
		}
	}
	ask(t, client, http.MethodGet, "http://"+u.edge+"/", "")
	time.Sleep(50 * time.Millisecond)
	if n := asked.Load(); n != 64 {
		t.Errorf("%d copies are under way, want 64", n)
	}
}

// TestNGINXSaysWhatItLacksForCopies: a split with copies is refused when nothing would copy them, with the lines to add.
func TestNGINXSaysWhatItLacksForCopies(t *testing.T) {
	without := regexp.MustCompile(`(?m)^.*edge\.checkout-api\.(mirror|copy);\n`)
	u := runNGINX(t, func(u *underTest) string { return without.ReplaceAllString(manual(t, u), "") }, checkout)
	split := strategy.Split{Release: checkout, Namespace: "default", Service: checkout}
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "one") }
	split.Stable, split.Canary = endpoint(t, "one", answer), endpoint(t, "two", answer)
	u.apply(t, split)
	split.Copies = &strategy.Copies{Percent: strategy.Percent(10), Methods: []string{"GET"}}
	err := u.router.Apply(t.Context(), split)
	for _, part := range []string{
		"NGINX cannot copy requests of \"checkout-api\": ", "add `include " + u.dir + "/edge.checkout-api.mirror;` to its location",
		"and `location = /drover-copy-checkout-api { include " + u.dir + "/edge.checkout-api.copy; }` beside it",
	} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("a split whose copies nothing makes is answered with %v, want an error with %q", err, part)
		}
	}
	split.Copies = nil
	if state, err := u.router.Read(t.Context(), checkout); err != nil || !state.Has(split) {
		t.Errorf("the split before is not in effect any more: %+v, %v", state, err)
	}
	if err := exec.Command(u.command()[0], u.command("-t", "-q")[1:]...).Run(); err != nil {
		t.Errorf("the configuration is not as it was: %v", err)
	}
}
