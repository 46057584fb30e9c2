package github_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/github"
	"github.com/drover-dev/drover/providers/github/openapi"
)

const hookSecret = "only GitHub and Drover know"

// hook is a handler for deliveries of a repository, with what it told.
func hook(t *testing.T, repository, branch string) (http.Handler, *[]github.Hint) {
	t.Helper()
	forge, err := github.New(github.Config{Repository: repository, Branch: branch, Token: github.Fixed("t")})
	if err != nil {
		t.Fatal(err)
	}
	var hints []github.Hint
	h, err := forge.NewHook(hookSecret, func(hint github.Hint) { hints = append(hints, hint) })
	if err != nil {
		t.Fatal(err)
	}
	return h, &hints
}

func deliver(h http.Handler, event, secret string, body []byte) int {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	r := httptest.NewRequest(http.MethodPost, "/webhooks/github", bytes.NewReader(body))
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// TestDeliveriesOfGitHub: every example that GitHub gives of every event is taken, and what is ours is a hint.
func TestDeliveriesOfGitHub(t *testing.T) {
	file := openapi.File(t, "webhooks.json")
	if file == "" {
		t.SkipNow()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(text, &events); err != nil {
		t.Fatal(err)
	}
	seen := map[github.Hint]int{}
	for _, event := range events {
		for _, example := range event.Examples {
			var about struct {
				Ref        string
				Repository struct {
					FullName string `json:"full_name"`
				}
			}
			if err := json.Unmarshal(example, &about); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(about.Repository.FullName, "/") {
				continue
			}
			h, hints := hook(t, about.Repository.FullName, strings.TrimPrefix(about.Ref, "refs/heads/"))
			for range 2 { // Delivered again, it is the same hint.
				if code := deliver(h, event.Name, hookSecret, example); code != http.StatusNoContent {
					t.Errorf("%s: answered %d, want 204", event.Name, code)
				}
			}
			for _, hint := range *hints {
				seen[hint]++
			}
			other, none := hook(t, "some/other", "main")
			if deliver(other, event.Name, hookSecret, example); len(*none) != 0 {
				t.Errorf("%s of another repository is a hint", event.Name)
			}
		}
	}
	if seen[github.HintPush] == 0 || seen[github.HintPull] == 0 {
		t.Errorf("the examples give %v, want pushes and pull requests", seen)
	}
}

func TestDeliveriesOfOthers(t *testing.T) {
	body := []byte(`{"ref": "refs/heads/main", "repository": {"full_name": "shop/releases"}}`)
	h, hints := hook(t, "shop/releases", "main")
	if code := deliver(h, "push", "wrong", body); code != http.StatusUnauthorized || len(*hints) != 0 {
		t.Errorf("a wrong signature is answered %d with %v, want 401 and no hint", code, *hints)
	}
	for name, signature := range map[string]string{"none": "", "no hexadecimal": "sha256=xyz", "short": "sha256=ab", "of SHA-1": "sha1=" + strings.Repeat("ab", 20)} {
		r := httptest.NewRequest(http.MethodPost, "/webhooks/github", bytes.NewReader(body))
		r.Header.Set("X-GitHub-Event", "push")
		if signature != "" {
			r.Header.Set("X-Hub-Signature-256", signature)
		}
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusUnauthorized || len(*hints) != 0 {
			t.Errorf("signature %s: answered %d with %v, want 401 and no hint", name, w.Code, *hints)
		}
	}
	if code := deliver(h, "push", hookSecret, make([]byte, 26<<20)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("26 MiB are answered %d, want 413", code)
	}
	if code := deliver(h, "push", hookSecret, []byte("payload=x")); code != http.StatusBadRequest {
		t.Errorf("a form is answered %d, want 400", code)
	}
	if code := deliver(h, "push", hookSecret, body); code != http.StatusNoContent || len(*hints) != 1 || (*hints)[0] != github.HintPush {
		t.Errorf("a push is answered %d with %v, want a hint", code, *hints)
	}
	if code := deliver(h, "push", hookSecret, bytes.Replace(body, []byte("main"), []byte("side"), 1)); code != http.StatusNoContent || len(*hints) != 1 {
		t.Errorf("a push to another branch is answered %d with %v, want no hint", code, *hints)
	}
	comment := []byte(`{"action": "created", "comment": {"body": "/drover pause"}, "repository": {"full_name": "shop/releases"}}`)
	if deliver(h, "issue_comment", hookSecret, comment); len(*hints) != 2 || (*hints)[1] != github.HintWords {
		t.Errorf("a command gives %v, want a hint", *hints)
	}
	forge, err := github.New(github.Config{Repository: "shop/releases", Token: github.Fixed("t")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forge.NewHook("", func(github.Hint) {}); err == nil {
		t.Error("a webhook without a secret is made")
	}
}
