package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/proxy"
	"github.com/drover-dev/drover/strategy"
)

// eventServer sends an event a request, and the next ones when it is told to.
func eventServer(t *testing.T, alloc string, more <-chan struct{}) *server {
	t.Helper()
	return serverFunc(t, alloc, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		flusher := http.NewResponseController(w)
		for n := 0; ; n++ {
			fmt.Fprintf(w, "data: %s %d\n\n", alloc, n)
			_ = flusher.Flush()
			select {
			case <-more:
			case <-r.Context().Done():
				return
			}
		}
	})
}

func TestStreamsOfEventsEndInOrder(t *testing.T) {
	f := startFront(t, proxy.Options{Routes: []proxy.Route{{Release: "shop"}}})
	more := make(chan struct{})
	stable, canary := startServer(t, "s"), eventServer(t, "c", more)
	f.Set([]strategy.Split{split(strategy.Full, []*server{stable}, []*server{canary})})
	response, err := f.client.Get(f.traffic.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	events := bufio.NewReader(response.Body)
	read := func(want string) {
		t.Helper()
		line, err := events.ReadString('\n')
		if err != nil || line != "data: "+want+"\n" {
			t.Fatalf("got %q, %v; want %q", line, err, want)
		}
		if _, err := events.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	read("c 0")
	f.Set([]strategy.Split{split(0, []*server{stable}, nil)})
	more <- struct{}{}
	read("c 1") // It lives on.
	leaving := split(0, []*server{stable}, nil)
	leaving.Leaving = []string{"c"}
	f.Set([]strategy.Split{leaving})
	if rest, err := io.ReadAll(events); err != nil || len(rest) > 0 {
		t.Errorf("the stream ended with %q, %v; want its regular end", rest, err)
	}
	f.idle(t)
	if got := f.page(t, "/splits"); !strings.Contains(got, `"open":{}`) {
		t.Errorf("something is still open: %s", got)
	}
}

func TestEndpointsDoNotSeeTheCookie(t *testing.T) {
	f := startFront(t, proxy.Options{Routes: []proxy.Route{{Release: "shop"}}})
	seen := make(chan []string, 1)
	stable := serverFunc(t, "s", func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header["Cookie"] })
	s := split(strategy.Percent(1), []*server{stable}, []*server{stable})
	s.Sessions = "shop-1"
	f.Set([]strategy.Split{s})
	for sent, want := range map[string]string{
		"": "[]", "drover_shop=shop-1.s": "[]", "a=1; drover_shop=shop-1.s; b=2": "[a=1; b=2]", "drover_shops=x": "[drover_shops=x]", "a=drover_shop=1": "[a=drover_shop=1]",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.traffic.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if sent != "" {
			r.Header.Set("Cookie", sent)
		}
		response, err := f.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := fmt.Sprint(<-seen); got != want {
			t.Errorf("of the cookies %q the endpoint sees %s, want %s", sent, got, want)
		}
		cookies := response.Cookies()
		if given := len(cookies) > 0; given == strings.Contains(sent, "shop-1.s") {
			t.Errorf("a user with %q is given the cookies %v", sent, cookies)
		}
	}
}
