package integration_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/strategy"
)

// onGitHub is a story whose repository is on GitHub: a double of it, which the program reaches over the network as it
// reaches a GitHub Enterprise Server, and which tells it of what happens by a webhook.
type onGitHub struct {
	*story
	hub    *githubtest.Hub
	listen string
}

const (
	hubRepository = "shop/releases"
	hookSecret    = "a secret of some length"
)

func beginOnGitHub(t *testing.T, name string) *onGitHub {
	t.Helper()
	s := &onGitHub{story: begin(t, name), listen: freeAddress(t)}
	var err error
	if s.hub, err = githubtest.New(githubtest.Options{Repository: hubRepository, Dir: s.shop.bare}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.hub.Handler())
	t.Cleanup(server.Close)
	dir := filepath.Dir(s.config)
	for file, text := range map[string]string{"github.token": githubtest.Token, "webhook.secret": hookSecret} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	config = fmt.Appendf(config, `
http {
  listen = %q
}

github {
  repository          = %q
  base_url            = %q
  token_file          = "github.token"
  webhook_secret_file = "webhook.secret"
}
`, s.listen, hubRepository, server.URL)
	if err := os.WriteFile(s.config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// tell delivers a webhook, as GitHub does. One that does not arrive is no failure: it is a hint.
func (s *onGitHub) tell(event string, delivery map[string]any) {
	s.t.Helper()
	delivery["repository"] = map[string]any{"full_name": hubRepository}
	body, err := json.Marshal(delivery)
	if err != nil {
		s.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.listen+"/webhooks/github", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("X-GitHub-Event", event)
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Logf("the webhook for %s did not arrive: %v", event, err)
		return
	}
	if response.Body.Close(); response.StatusCode != http.StatusNoContent {
		s.t.Errorf("the webhook for %s is answered %s", event, response.Status)
	}
}

// propose opens a pull request for a version, and returns its number and head.
func (s *onGitHub) propose(version string, p policy) (number int, head string) {
	s.t.Helper()
	branch := "release-" + version
	s.shop.pull()
	s.shop.git(s.shop.clone, "checkout", "-q", "-b", branch)
	s.write(version, p)
	s.shop.git(s.shop.clone, "commit", "-q", "-a", "-m", "Release "+s.name+" "+version)
	s.shop.git(s.shop.clone, "push", "-q", "origin", branch)
	head = s.shop.git(s.shop.clone, "rev-parse", "HEAD")
	s.shop.git(s.shop.clone, "checkout", "-q", "main")
	number, err := s.hub.Open(githubtest.Person, branch, "Release "+s.name+" "+version)
	if err != nil {
		s.t.Fatal(err)
	}
	s.tell("pull_request", map[string]any{"action": "opened"})
	return number, head
}

// merge merges one by squashing it, and returns the commit.
func (s *onGitHub) merge(number int) string {
	s.t.Helper()
	sha, err := s.hub.Merge(githubtest.Person, number, "squash")
	if err != nil {
		s.t.Fatal(err)
	}
	s.tell("push", map[string]any{"ref": "refs/heads/main"})
	return sha
}

// said is the statuses of a commit in their order, as "state context: text".
func (s *onGitHub) said(sha string) (all []string) {
	for _, status := range s.hub.Statuses(sha) {
		all = append(all, fmt.Sprintf("%s %s: %s", status.State, status.Context, status.Text))
	}
	return all
}

// saidLast waits for a commit's newest status of the release.
func (s *onGitHub) saidLast(sha, prefix string) {
	s.t.Helper()
	s.until("a status begins with "+prefix, func() bool {
		all := s.said(sha)
		return len(all) > 0 && strings.HasPrefix(all[len(all)-1], prefix)
	})
}

// commanded writes a command below a pull request, and waits for the answer.
func (s *onGitHub) commanded(number int, by, text, answer string) {
	s.t.Helper()
	id := s.hub.Write(by, number, text)
	s.tell("issue_comment", map[string]any{"action": "created", "comment": map[string]any{"body": text}})
	s.until(fmt.Sprintf("%q of %s is answered %s", text, by, answer), func() bool {
		for _, c := range s.hub.Comments(number) {
			if c.ID == id {
				return slices.ContainsFunc(c.Reactions, func(r githubtest.Reaction) bool { return r.By == githubtest.Bot && r.Content == answer })
			}
		}
		return false
	})
}

// remark is the one comment of Drover below a pull request.
func (s *onGitHub) remark(number int) string {
	s.t.Helper()
	var all []string
	for _, c := range s.hub.Comments(number) {
		if c.By == githubtest.Bot {
			all = append(all, c.Body)
		}
	}
	if len(all) != 1 {
		s.t.Fatalf("%d comments of Drover stand below pull request %d, want one", len(all), number)
	}
	return all[0]
}

// TestOnGitHub is the whole way of a user there: a pull request with its plan, merged, paused and resumed by comments, and
// promoted; then a bad one, which is reverted and explained.
func TestOnGitHub(t *testing.T) {
	t.Parallel()
	s := beginOnGitHub(t, "on-github")
	s.release(quick)
	full := s.name + "/" + s.name // The instance has the name of the release.

	number, head := s.propose("1.1.0", quick)
	s.saidLast(head, "success "+s.name+"/plan: on-github 1.0.0 -> 1.1.0, canary 25-50-100, about 6 s")
	if body := s.remark(number); !strings.Contains(body, "| on-github | 1.0.0 → 1.1.0 | canary 25-50-100 | 6 s | 2, beside 2 |") || !strings.Contains(body, "<details><summary>Nomad's plan for on-github</summary>") {
		t.Errorf("the comment has no plan:\n%s", body)
	}
	good := s.merge(number)
	s.enters("1.1.0", strategy.Stepping)
	s.commanded(number, githubtest.Person, "Wait a moment.\n/drover pause", "+1")
	s.becomes("it is paused", func(r strategy.Rollout) bool { return r.Paused == githubtest.Person })
	s.commanded(number, "stranger", "/drover abort", "-1")
	s.commanded(number, githubtest.Person, "/drover resume", "+1")
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.saidLast(good, "success "+full+": 1.1.0 promoted after ")
	s.saidLast(head, "success "+full+": 1.1.0 promoted after ")
	for _, text := range []string{"pending " + full + ": placing 1.1.0", "pending " + full + ": paused by robin"} {
		if !slices.ContainsFunc(s.said(good), func(have string) bool { return strings.HasPrefix(have, text) }) {
			t.Errorf("the statuses of the merge are %q, want one that begins with %q", s.said(good), text)
		}
	}
	s.until("the comment says so too", func() bool {
		return strings.Contains(s.remark(number), "| on-github | 🟢 done | 1.1.0 promoted after ")
	})

	number, head = s.propose("1.2.0", quick)
	s.saidLast(head, "success "+s.name+"/plan: on-github 1.1.0 -> 1.2.0")
	bad := s.merge(number)
	s.until("a revert is pushed", func() bool { return s.shop.head() != bad })
	s.rests("1.1.0", strategy.OutcomeCondemned)
	s.reverted(bad, good)
	s.saidLast(bad, "failure "+full+": rolled back: gate \"")
	s.saidLast(head, "failure "+full+": rolled back: gate \"")
	s.until("the comment says so too", func() bool {
		return strings.Contains(s.remark(number), "| on-github | 🔴 failed | rolled back: gate \"")
	})
	issues := s.hub.Issues()
	if len(issues) != 1 {
		t.Fatalf("%d issues were opened, want 1", len(issues))
	}
	for _, part := range []string{bad, fmt.Sprintf("in pull request #%d of `robin`", number), "| gate | verdict | limit | canary | stable |", "| fail |", "The canary answered ", "Git: reverted by ", "### Timeline"} {
		if !strings.Contains(issues[0].Body, part) {
			t.Errorf("the issue does not hold %q:\n%s", part, issues[0].Body)
		}
	}
	s.drover.stop()
}
