package git_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/strategy"
)

const token = providertest.GitToken

type files = providertest.Files

func change(parent string, content string) strategy.Change {
	return strategy.Change{Parent: parent, Files: map[string]*strategy.File{"a": {Content: []byte(content)}}, Message: "mine"}
}

func head(t *testing.T, repo *git.Repository) strategy.Commit {
	t.Helper()
	commit, err := repo.Head(t.Context())
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	return commit
}

func isPush(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

func TestLostAnswerIsNoFailure(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	server := providertest.NewGitServer(t, remote)
	server.Answer(func(w http.ResponseWriter, r *http.Request, git http.Handler) bool {
		if !isPush(r) {
			return false
		}
		git.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler) // the connection ends without an answer
	})
	repo := open(t, git.Config{URL: server.URL, Token: token})
	pushed, err := repo.Push(t.Context(), change(head(t, repo).SHA, "2"))
	if err != nil {
		t.Fatalf("got %v, want the commit", err)
	}
	if got := remote.Tip(t); got != pushed.SHA {
		t.Errorf("the branch is at %s, want %s", got, pushed.SHA)
	}
}

func TestPushThatDidNotArriveIsNoRefusal(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.ResponseWriter){
		"connection lost": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"bad gateway":     func(w http.ResponseWriter) { http.Error(w, "try later", http.StatusBadGateway) },
		"empty answer":    func(http.ResponseWriter) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote := providertest.NewBareRemote(t)
			one := remote.Commit(t, "one", files{"a": "1"})
			server := providertest.NewGitServer(t, remote)
			server.Answer(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if isPush(r) {
					fault(w)
				}
				return isPush(r)
			})
			repo := open(t, git.Config{URL: server.URL, Token: token})
			_, err := repo.Push(t.Context(), change(one, "2"))
			if err == nil || errors.Is(err, strategy.ErrRefused) || errors.Is(err, strategy.ErrHeadMoved) {
				t.Errorf("got %v, want a failure of transport", err)
			}
		})
	}
}

func TestTokenThatMayOnlyReadIsARefusal(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusUnauthorized} {
		remote := providertest.NewBareRemote(t)
		one := remote.Commit(t, "one", files{"a": "1"})
		server := providertest.NewGitServer(t, remote)
		server.Answer(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if !strings.Contains(r.URL.String(), "git-receive-pack") {
				return false
			}
			http.Error(w, "write access not granted", status)
			return true
		})
		repo := open(t, git.Config{URL: server.URL, Token: token})
		_, err := repo.Push(t.Context(), change(one, "2"))
		if !errors.Is(err, strategy.ErrRefused) || !strings.Contains(err.Error(), "write access not granted") {
			t.Errorf("status %d: got %v, want %v with the remote's words", status, err, strategy.ErrRefused)
		}
		if errors.Is(err, git.ErrCredentials) {
			t.Errorf("status %d: got %v: the token is good for reading", status, err)
		}
	}
}

// The branch moves after the remote said where it is: the remote's own compare-and-set decides.
func TestRaceWithinThePush(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1", "b": "1"})
	server := providertest.NewGitServer(t, remote)
	var others string
	server.Answer(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if isPush(r) {
			others = remote.Commit(t, "faster", files{"b": "2"})
		}
		return false
	})
	repo := open(t, git.Config{URL: server.URL, Token: token})
	if _, err := repo.Push(t.Context(), change(one, "2")); !errors.Is(err, strategy.ErrHeadMoved) {
		t.Errorf("got %v, want %v", err, strategy.ErrHeadMoved)
	}
	if got := remote.Tip(t); got != others || others == "" {
		t.Errorf("the branch is at %s, want the other's commit, %s", got, others)
	}
}

func TestRemoteThatHangs(t *testing.T) {
	t.Parallel()
	released := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-released:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(released) })
	for name, c := range map[string]struct {
		timeout time.Duration
		patient time.Duration
		want    error
	}{
		"timeout of its own":    {50 * time.Millisecond, time.Hour, context.DeadlineExceeded},
		"timeout of the caller": {time.Hour, 50 * time.Millisecond, context.DeadlineExceeded},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), c.patient)
		defer cancel()
		if _, err := open(t, git.Config{URL: server.URL + "/r.git", Timeout: c.timeout}).Head(ctx); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, git.Config{URL: server.URL + "/r.git"}).Head(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// A hook outlives the git program that started it, and go-git waits for it: the caller does not.
func TestHookThatHangs(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	dir := t.TempDir()
	done := filepath.Join(dir, "done")
	// It ends with the test at the latest, when the folder goes.
	remote.Hook(t, "pre-receive", "while [ -d '"+dir+"' ] && [ ! -e '"+done+"' ]; do sleep 0.1; done\nexit 1\n")
	repo := open(t, git.Config{URL: remote.Dir})
	head(t, repo)
	t.Cleanup(func() { // before Close, which waits for the call
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := repo.Push(ctx, change(one, "2"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if took := time.Since(begun); took > 30*time.Second {
		t.Errorf("the call took %v", took)
	}
}
