package nomad

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestServerThatIsBehind asks a server that was just started, and one that was restored from a backup.
func TestServerThatIsBehind(t *testing.T) {
	index, now := "", time.Unix(1_000_000, 0)
	s := newSteadyTransport(answering(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Nomad-Index": {index}}, Body: io.NopCloser(strings.NewReader("[]"))}
	}))
	s.now = func() time.Time { return now }
	for _, test := range []struct {
		index, method, url string
		after              time.Duration
		refused            bool
	}{
		{index: "10", url: "http://nomad/v1/service/web"},
		{index: "10", url: "http://nomad/v1/service/web?index=10&wait=30s"},
		{index: "3", url: "http://nomad/v1/service/web?index=10", refused: true},
		{index: "3", url: "http://nomad/v1/service/api"}, // Of this it has said nothing yet,
		{index: "3", url: "http://nomad/v1/service/web?namespace=shop"},
		{index: "3", method: http.MethodPut, url: "http://nomad/v1/service/web"},
		{index: "", url: "http://nomad/v1/service/web"}, // and this says nothing of its state.
		{index: "12", url: "http://nomad/v1/service/web"},
		{index: "4", after: time.Hour, url: "http://nomad/v1/service/web", refused: true},
		{index: "5", after: believeAfter - time.Second, url: "http://nomad/v1/service/web", refused: true},
		{index: "6", after: time.Second, url: "http://nomad/v1/service/web"},
		{index: "7", url: "http://nomad/v1/service/web"},
	} {
		index, now = test.index, now.Add(test.after)
		request, err := http.NewRequestWithContext(t.Context(), test.method, test.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := s.RoundTrip(request)
		if err == nil {
			response.Body.Close()
		}
		if refused := err != nil; refused != test.refused || (refused && !strings.Contains(err.Error(), "from index "+strconv.Quote(test.index)[1:2])) {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }
