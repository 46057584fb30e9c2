package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/examples"
	"github.com/drover-dev/drover/providers/github/githubtest"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

const (
	hookSecret = "only GitHub and Drover know"
	shopOnHub  = "shop/releases"
)

// listening is `drover run` as a person configures it, with a GitHub that can reach it, and a poll that never comes.
type listening struct {
	t      *testing.T
	remote *providertest.BareRemote
	hub    *githubtest.Hub
	set    chan struct{} // something was said on GitHub
	config string
	hook   string // the address that GitHub delivers to
}

// listen starts the daemon; it ends, and ends well, with the test.
func listen(t *testing.T) *listening {
	t.Helper()
	l := &listening{t: t, remote: providertest.NewBareRemote(t), set: make(chan struct{}, 1)}
	l.remote.Commit(t, "Begin the release repository", shopFiles(t, "checkout-api", "1.0.0"))
	var err error
	l.hub, err = githubtest.New(githubtest.Options{Repository: shopOnHub, Dir: l.remote.Dir, Check: l.noticing})
	if err != nil {
		t.Fatal(err)
	}
	hub, cluster := httptest.NewServer(l.hub), httptest.NewServer(sim.New(sim.Config{Start: time.Now(), Seed: 1}))
	t.Cleanup(hub.Close)
	t.Cleanup(cluster.Close)
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l.config, l.hook = filepath.Join(dir, "drover.hcl"), "http://"+address+webhookPath
	text := fmt.Sprintf(`ledger = "file"
git {
  url  = %q
  poll = "24h"
}
nomad {
  address = %q
}
http {
  listen = %q
}
github {
  repository         = %q
  base_url           = %q
  token_env          = %q
  webhook_secret_env = %q
}
`, l.remote.Dir, cluster.URL, address, shopOnHub, hub.URL, hubTokenVariable, hookSecretVariable)
	if err := os.WriteFile(l.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int)
	var out bytes.Buffer // read when the daemon ended
	go func() { ended <- runDaemon(ctx, &console{out: &out, err: &out}, []string{"-config", l.config}) }()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("the daemon exited with %d", code)
		}
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return l
}

// noticing tells whoever waits that GitHub was asked for something.
func (l *listening) noticing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		select {
		case l.set <- struct{}{}:
		default:
		}
	})
}

// shopFiles is the example's repository, with its release under a name and at a version.
func shopFiles(t *testing.T, name, version string) providertest.Files {
	t.Helper()
	example, err := examples.Checkout()
	if err != nil {
		t.Fatal(err)
	}
	files := providertest.Files{}
	err = fs.WalkDir(example, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(example, path)
		content := strings.ReplaceAll(strings.ReplaceAll(string(text), "checkout-api", name), `"1.0.0"`, fmt.Sprintf("%q", version))
		files[strings.ReplaceAll(path, "checkout-api", name)] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// said waits until a commit has a status of some context, and returns it.
func (l *listening) said(sha, status string) githubtest.Status {
	l.t.Helper()
	patience := time.After(time.Minute)
	for {
		for _, s := range l.hub.Statuses(sha) {
			if s.Context == status {
				return s
			}
		}
		select {
		case <-l.set:
		case <-patience:
			l.t.Fatalf("%.7s has no status %s: it has %v", sha, status, l.hub.Statuses(sha))
		}
	}
}

// deliver brings an event as GitHub does, signed with a secret, and returns the code of the answer.
func (l *listening) deliver(event, secret, body string) int {
	l.t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	r, err := http.NewRequestWithContext(l.t.Context(), http.MethodPost, l.hook, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// TestWebhooks: what GitHub delivers to `drover run` has it look at once; what others deliver is refused, and has it do nothing.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	l := listen(t)
	l.said(l.remote.Tip(t), "drover/checkout-api") // It has looked once, and looks no more by itself.

	unseen := l.remote.Commit(t, "Release basket 1.0.0", shopFiles(t, "basket", "1.0.0"))
	push := fmt.Sprintf(`{"ref": "refs/heads/main", "repository": {"full_name": %q}}`, shopOnHub)
	if code := l.deliver("push", "a guess", push); code != http.StatusUnauthorized {
		t.Errorf("a push with a wrong signature is answered %d, want 401", code)
	}
	// A command is answered by a whole pass, which would look at the repository if it had been told to. A first release cannot pause.
	var out bytes.Buffer
	runCommand(strategy.CommandPause)(t.Context(), &console{out: &out, err: &out}, []string{"-config", l.config, "checkout-api"})
	if !strings.Contains(out.String(), "there is nothing to pause") {
		t.Fatalf("pause: %s", out.String())
	}

	seen := l.remote.Commit(t, "Release basket 1.0.1", shopFiles(t, "basket", "1.0.1"))
	if code := l.deliver("push", hookSecret, push); code != http.StatusNoContent {
		t.Errorf("a push is answered %d, want 204", code)
	}
	if got := l.said(seen, "drover/basket"); got.State != string(strategy.ReportPending) || got.Text != "placing 1.0.1" {
		t.Errorf("the status of the commit that was pushed is %s: %s, want placing 1.0.1", got.State, got.Text)
	}
	if statuses := l.hub.Statuses(unseen); len(statuses) != 0 {
		t.Errorf("the commit whose push was not signed has %v, want nothing: it was looked at", statuses)
	}

	head := l.remote.Branch(t, "refs/heads/next", seen, "Release basket 1.1.0", shopFiles(t, "basket", "1.1.0"))
	if _, err := l.hub.Open(githubtest.Person, "next", "Release basket 1.1.0"); err != nil {
		t.Fatal(err)
	}
	opened := fmt.Sprintf(`{"action": "opened", "repository": {"full_name": %q}}`, shopOnHub)
	if code := l.deliver("pull_request", hookSecret, opened); code != http.StatusNoContent {
		t.Errorf("a pull request is answered %d, want 204", code)
	}
	l.said(head, "drover/plan")
}
