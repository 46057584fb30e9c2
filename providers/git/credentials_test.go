package git_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
)

func TestCredentialsAreInNoError(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	server := providertest.NewGitServer(t, remote)
	var log bytes.Buffer
	repo := open(t, git.Config{URL: server.URL, Token: "wr0ng-t0ken", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	_, err := repo.Head(t.Context())
	if err == nil || !strings.Contains(err.Error(), "check the token") {
		t.Errorf("got %v, want an error that says what to do", err)
	}
	if !errors.Is(err, git.ErrCredentials) {
		t.Errorf("got %v, want %v", err, git.ErrCredentials)
	}
	// The server of the test repeats the password in its answer.
	for wrapped := err; wrapped != nil; wrapped = errors.Unwrap(wrapped) {
		if strings.Contains(wrapped.Error(), "wr0ng-t0ken") {
			t.Errorf("the error holds the token: %v", wrapped)
		}
	}
	if strings.Contains(log.String(), "wr0ng-t0ken") {
		t.Errorf("the log holds the token: %s", log.String())
	}
}

func TestCredentialsAreInNoFile(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	url := providertest.NewGitServer(t, remote).URLWithToken()
	state := filepath.Join(t.TempDir(), "state")
	repo := open(t, git.Config{URL: url, StateDir: state})
	if _, err := repo.Push(t.Context(), change(head(t, repo).SHA, "2")); err != nil {
		t.Fatal(err)
	}
	count := 0
	err := filepath.WalkDir(state, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		count++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(token)) {
			t.Errorf("%s holds the token", path)
		}
		return err
	})
	if err != nil || count == 0 {
		t.Errorf("%d files read: %v", count, err)
	}
	if info, err := os.Stat(state); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("state folder: got %v, %v, want mode 0700", info.Mode(), err)
	}
}

func TestRedirectDoesNotTakeTheTokenElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("a request came to where the remote redirects to, with %q", r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.String(), http.StatusFound)
	}))
	t.Cleanup(remote.Close)
	_, err := open(t, git.Config{URL: remote.URL + "/r.git", Token: token}).Head(t.Context())
	if err == nil || !strings.Contains(err.Error(), "redirects to host") {
		t.Errorf("got %v, want a refusal to follow", err)
	}
}

// tokenFile is a way to read a token that counts how often it is asked.
type tokenFile struct {
	token string
	err   error
	reads int
}

func (f *tokenFile) read(context.Context) (string, error) {
	f.reads++
	return f.token, f.err
}

func TestTokenIsReadAgainWhenItIsRejected(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	server := providertest.NewGitServer(t, remote)
	held := &tokenFile{token: token + "\n"}
	repo := open(t, git.Config{URL: server.URL, ReadToken: held.read})
	for range 3 {
		head(t, repo)
	}
	if held.reads != 1 {
		t.Errorf("the token was read %d times, want once while it is good", held.reads)
	}

	// Replaced in both places: nobody notices, not even a push.
	held.token = "sec0nd-t0ken"
	server.SetToken("sec0nd-t0ken")
	pushed, err := repo.Push(t.Context(), change(remote.Tip(t), "2"))
	if err != nil || remote.Tip(t) != pushed.SHA {
		t.Fatalf("push with a token that was replaced: %v", err)
	}
	if held.reads != 2 {
		t.Errorf("the token was read %d times, want 2", held.reads)
	}

	// Replaced at the remote first.
	server.SetToken("th1rd-t0ken")
	for range 2 {
		if _, err := repo.Head(t.Context()); !errors.Is(err, git.ErrCredentials) || strings.Contains(err.Error(), "sec0nd-t0ken") {
			t.Errorf("got %v, want %v", err, git.ErrCredentials)
		}
	}
	held.err = errors.New("the disk is gone")
	if _, err := repo.Head(t.Context()); !errors.Is(err, git.ErrCredentials) || !strings.Contains(err.Error(), "the disk is gone") {
		t.Errorf("got %v, want %v and why there is no other token", err, git.ErrCredentials)
	}
	held.token, held.err = "th1rd-t0ken", nil
	next := remote.Commit(t, "three", files{"a": "3"})
	if got := head(t, repo).SHA; got != next {
		t.Errorf("head: got %s, want %s", got, next)
	}
}

func TestTokenThatCannotBeRead(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	server := providertest.NewGitServer(t, remote)
	held := &tokenFile{err: os.ErrNotExist}
	repo := open(t, git.Config{URL: server.URL, ReadToken: held.read})
	if _, err := repo.Head(t.Context()); !errors.Is(err, git.ErrCredentials) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, git.ErrCredentials)
	}
	held.token, held.err = " \n", nil
	if _, err := repo.Push(t.Context(), change(one, "2")); !errors.Is(err, git.ErrCredentials) || !strings.Contains(err.Error(), "empty") {
		t.Errorf("got %v, want %v that says the token is empty", err, git.ErrCredentials)
	}
	held.token = token
	if got := head(t, repo).SHA; got != one {
		t.Errorf("head: got %s, want %s", got, one)
	}
}

// A repository that is hidden from a token looks as if it were not there.
func TestTokenThatDoesNotSeeTheRepository(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	server := providertest.NewGitServer(t, remote)
	hidden := true
	server.Answer(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if hidden {
			http.NotFound(w, r)
		}
		return hidden
	})
	held := &tokenFile{token: token}
	repo := open(t, git.Config{URL: server.URL, ReadToken: held.read})
	if _, err := repo.Head(t.Context()); err == nil || !strings.Contains(err.Error(), "may not see it") {
		t.Errorf("got %v, want an error that says what may be", err)
	}
	if held.reads != 2 {
		t.Errorf("the token was read %d times, want again after the answer", held.reads)
	}
	hidden = false
	if got := head(t, repo).SHA; got != one {
		t.Errorf("head: got %s, want %s", got, one)
	}
}
