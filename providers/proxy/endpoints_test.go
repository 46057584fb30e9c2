package proxy

import (
	"fmt"
	"strings"
	"testing"
)

func TestEndpointLabel(t *testing.T) {
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/", "GET /"},
		{"GET", "", "GET /"},
		{"POST", "/orders", "POST /orders"},
		{"GET", "/orders/123/items", "GET /orders/:id"},
		{"GET", "/v1/orders/7", "GET /v1/orders"},
		{"GET", "//a//b/c", "GET /a/b"},
		{"DELETE", "/carts/6f9619ff-8b86-d011-b42d-00cf4fc964ff", "DELETE /carts/:id"},
		{"GET", "/caf\xff", "GET /:id"},
		{"GET", "/" + strings.Repeat("a", 40), "GET /:id"},
		{"BREW", "/pot", "OTHER /pot"},
	} {
		if got := endpointLabel(c.method, c.path); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.method, c.path, got, c.want)
		}
	}
}

func TestEndpointLabelsAreBounded(t *testing.T) {
	var e endpoints
	if got := e.label("GET", "/admin.php", 404); got != otherEndpoint {
		t.Errorf("a path that was not found is labelled %q, want %q", got, otherEndpoint)
	}
	labels := map[string]bool{}
	for i := range 200 {
		word := fmt.Sprintf("/%c%c", 'a'+i/20, 'a'+i%20)
		labels[e.label("GET", word, 200)] = true
	}
	if len(labels) != maxEndpoints+1 || !labels[otherEndpoint] {
		t.Errorf("200 paths make %d labels, want %d and %q", len(labels), maxEndpoints, otherEndpoint)
	}
	if got := e.label("GET", "/aa", 404); got != "GET /aa" {
		t.Errorf("a known path is labelled %q, want it to stay", got)
	}
}
