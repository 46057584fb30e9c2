package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

// rival is a person who pushes at the worst moment: when Drover's push is on its way.
type rival struct {
	shop *shop

	mu   sync.Mutex
	push func() // once; nil when nothing is to be pushed
}

// Intercept sees Drover's push before git does.
func (r *rival) intercept(_ http.ResponseWriter, request *http.Request, _ http.Handler) bool {
	if request.Method != http.MethodPost || filepath.Base(request.URL.Path) != "git-receive-pack" {
		return false
	}
	r.mu.Lock()
	push := r.push
	r.push = nil
	r.mu.Unlock()
	if push != nil {
		push()
	}
	return false
}

func (r *rival) next(push func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.push = push
}

// pending tells whether Drover has not pushed since next.
func (r *rival) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.push != nil
}

// TestCompetingPusher releases one bad version after another over a real Git HTTP server, and has a person push whenever
// Drover does: beside the release, its revert, or a newer version of it.
func TestCompetingPusher(t *testing.T) {
	t.Parallel()
	rounds := 6
	if *torture {
		rounds = 50
	}
	s := begin(t, "contested")
	remote := &providertest.BareRemote{Dir: s.shop.bare}
	server := providertest.NewGitServer(t, remote)
	opponent := &rival{shop: s.shop}
	server.Answer(opponent.intercept)
	s.overHTTP(server)
	s.release(quick)

	good, reverts := "1.0.0", 0
	for n := range rounds {
		bad := fmt.Sprintf("1.%d.0-crash", n+1)
		failed := s.commit(bad, policy{bake: "2s", deadline: "10s"})
		kind := n % 3
		opponent.next(func() { s.compete(kind, n, failed) })
		s.until("drover has pushed", func() bool { return !opponent.pending() })
		switch kind {
		case 0: // Something else: the revert goes on top.
			reverts++
			s.until("it is reverted", func() bool { return s.trailers() == reverts })
		case 2: // A newer version: it is released.
			good = fmt.Sprintf("1.0.%d", n+1)
		}
		s.becomes("it rests on "+good, func(r strategy.Rollout) bool {
			return r.Phase == strategy.Resting && len(r.Outbox) == 0 && r.Stable.Revision.Version == good &&
				(r.Reason.Code == strategy.UpToDate || r.Reason.Code == strategy.Promoted)
		})
		if got := s.trailers(); got != reverts {
			t.Fatalf("round %d: Drover made %d commits, want %d", n+1, got, reverts)
		}
		s.shop.pull()
	}

	var notes []string
	for path := range strings.FieldsSeq(s.shop.git(s.shop.bare, "ls-tree", "--name-only", "-r", "main")) {
		if strings.HasPrefix(path, "notes/") {
			notes = append(notes, path)
		}
	}
	if want := rounds; len(notes) != want {
		t.Errorf("%d notes of the person are left, want %d: %v", len(notes), want, notes)
	}
	reverted := strings.Fields(s.shop.git(s.shop.bare, "log", "--format=%(trailers:key=Drover-Failed,valueonly)", "main"))
	slices.Sort(reverted)
	if once := slices.Compact(slices.Clone(reverted)); len(once) != len(reverted) {
		t.Errorf("a commit was reverted twice: %v", reverted)
	}
	s.drover.stop()
}

// compete is what the person pushes while Drover's push is under way; each leaves a note that must not be lost.
func (s *story) compete(kind, n int, failed string) {
	s.shop.write(fmt.Sprintf("notes/%d.md", n), "a note\n")
	switch kind {
	case 1: // The person reverts it too, and is first.
		s.shop.git(s.shop.clone, "checkout", "-q", failed+"~", "--", "releases")
	case 2:
		s.write(fmt.Sprintf("1.0.%d", n+1), quick)
	}
	s.shop.push(fmt.Sprintf("Push beside %.7s", failed))
}

// trailers is how many commits Drover made.
func (s *story) trailers() int {
	s.t.Helper()
	return len(strings.Fields(s.shop.git(s.shop.bare, "log", "--format=%(trailers:key=Drover-Failed,valueonly)", "main")))
}

// overHTTP has Drover reach the repository by a server, with a token.
func (s *story) overHTTP(server *providertest.GitServer) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	token := filepath.Join(filepath.Dir(s.config), "token")
	if err := os.WriteFile(token, []byte(providertest.GitToken+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	now := strings.Replace(string(text), fmt.Sprintf("url  = %q", s.shop.bare), fmt.Sprintf("url        = %q\n  token_file = %q", server.URL, token), 1)
	if err := os.WriteFile(s.config, []byte(now), 0o600); err != nil {
		s.t.Fatal(err)
	}
}
