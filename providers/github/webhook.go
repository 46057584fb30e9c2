package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// maxHook bounds a delivery; GitHub's own bound is 25 MiB, and what Drover reads of one is small.
const maxHook = 25 << 20

// Hint is what a delivery says may have changed. It is no more than that: whoever is told asks GitHub itself.
type Hint string

// The hints.
const (
	HintPush  Hint = "push"  // the release branch moved
	HintPull  Hint = "pull"  // a pull request was opened, or moved
	HintWords Hint = "words" // somebody wrote below one
)

// Hook hears GitHub's deliveries. Each must be signed with the secret; of those that are, nothing is believed but that
// something may have changed, so that one that is delivered again does no harm.
type Hook struct {
	secret     []byte
	repository string
	branch     string
	tell       func(Hint)
	log        *slog.Logger
}

// NewHook makes a handler of deliveries for the repository of the configuration. tell must return at once.
func (f *Forge) NewHook(secret string, tell func(Hint)) (*Hook, error) {
	if secret == "" {
		return nil, errors.New("a webhook without a secret would hear anybody: set one")
	}
	return &Hook{secret: []byte(secret), repository: f.owner + "/" + f.name, branch: f.config.Branch, tell: tell, log: f.log}, nil
}

// delivery is what is read of one.
type delivery struct {
	Ref        string `json:"ref"`
	Action     string `json:"action"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Comment struct {
		Body string `json:"body"`
	} `json:"comment"`
}

// ServeHTTP answers soon, as GitHub asks for.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "deliveries are POSTed", http.StatusMethodNotAllowed)
		return
	}
	signature, ok := strings.CutPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=")
	want, err := hex.DecodeString(signature)
	if !ok || err != nil || len(want) != sha256.Size {
		http.Error(w, "the delivery is not signed", http.StatusUnauthorized)
		return
	}
	// The signature is computed as the body comes in: of one that is not signed well nothing is kept beyond the bound.
	mac := hmac.New(sha256.New, h.secret)
	body, err := io.ReadAll(io.TeeReader(http.MaxBytesReader(w, r.Body, maxHook), mac))
	if err != nil {
		http.Error(w, "the delivery is too long, or broke off", http.StatusRequestEntityTooLarge)
		return
	}
	if !hmac.Equal(mac.Sum(nil), want) {
		h.log.Warn("delivery with a wrong signature", "remote", r.RemoteAddr)
		http.Error(w, "the signature is wrong", http.StatusUnauthorized)
		return
	}
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		http.Error(w, "the delivery is not JSON: set the webhook's content type to application/json", http.StatusBadRequest)
		return
	}
	if hint, ok := h.hint(r.Header.Get("X-GitHub-Event"), d); ok {
		h.tell(hint)
	}
	w.WriteHeader(http.StatusNoContent)
}

// hint is what a delivery is about, if that is ours.
func (h *Hook) hint(event string, d delivery) (Hint, bool) {
	if !strings.EqualFold(d.Repository.FullName, h.repository) {
		return "", false
	}
	switch event {
	case "push":
		return HintPush, d.Ref == "refs/heads/"+h.branch
	case "pull_request":
		return HintPull, d.Action != "labeled" && d.Action != "unlabeled" && d.Action != "assigned" && d.Action != "unassigned"
	case "issue_comment":
		return HintWords, d.Action == "created" && strings.Contains(d.Comment.Body, "/drover")
	}
	return "", false
}
