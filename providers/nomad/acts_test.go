package nomad_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/strategy"
)

// TestReplaceAnswers holds what Replace makes of Nomad's answers; what becomes of the allocation is for the conformance
// suite.
func TestReplaceAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		status     int
		fails      bool
	}{
		{"stopped", `{"EvalID": "e", "Index": 7}`, http.StatusOK, false},
		{"not known any more", "alloc not found", http.StatusNotFound, false},
		{"not allowed", "Permission denied", http.StatusForbidden, true},
		{"no leader", "No cluster leader", http.StatusInternalServerError, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.Method+" "+r.URL.Path+" in "+r.URL.Query().Get("namespace"))
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}))
			defer server.Close()
			client, err := api.NewClient(&api.Config{Address: server.URL})
			if err != nil {
				t.Fatalf("make a client: %v", err)
			}
			err = nomad.New(client, nomad.Options{}).Replace(t.Context(), strategy.JobRef{Namespace: "shop", ID: "web"}, "1a2b")
			if (err != nil) != tc.fails {
				t.Errorf("got error %v, want one: %t", err, tc.fails)
			}
			if err != nil && !strings.Contains(err.Error(), "replace allocation 1a2b of job shop/web: ") {
				t.Errorf("got error %q, want it to say what was attempted", err)
			}
			if want := "PUT /v1/allocation/1a2b/stop in shop"; len(asked) != 1 || asked[0] != want {
				t.Errorf("asked %q, want %q", asked, want)
			}
		})
	}
}
