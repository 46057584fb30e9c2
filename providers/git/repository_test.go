package git_test

import (
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
)

var (
	_ reconcile.Repository = (*git.Repository)(nil)
	_ reconcile.Ancestry   = (*git.Repository)(nil)
	_ reconcile.Messages   = (*git.Repository)(nil)
)

// open makes a repository that is closed before its state goes.
func open(t *testing.T, config git.Config) *git.Repository {
	t.Helper()
	if config.StateDir == "" {
		config.StateDir = filepath.Join(t.TempDir(), "state")
	}
	repo, err := git.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := repo.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return repo
}

func TestConformanceOfALocalPath(t *testing.T) {
	t.Parallel()
	providertest.TestRepository(t, func(t *testing.T) providertest.RepositoryHarness {
		t.Helper()
		remote := providertest.NewBareRemote(t)
		return providertest.RepositoryHarness{
			Remote: remote,
			Open: func(t *testing.T, view providertest.View) reconcile.Repository {
				t.Helper()
				url := "file://" + remote.Dir
				if view.Unreachable {
					url = filepath.Join(t.TempDir(), "nothing")
				}
				return open(t, git.Config{URL: url, Branch: view.Branch, Path: view.Path})
			},
		}
	})
}

func TestConformanceOfSmartHTTP(t *testing.T) {
	t.Parallel()
	providertest.TestRepository(t, func(t *testing.T) providertest.RepositoryHarness {
		t.Helper()
		remote := providertest.NewBareRemote(t)
		server := providertest.NewGitServer(t, remote)
		return providertest.RepositoryHarness{
			Remote: remote,
			Open: func(t *testing.T, view providertest.View) reconcile.Repository {
				t.Helper()
				url := server.URL
				if view.Unreachable {
					gone := httptest.NewServer(nil)
					gone.Close()
					url = gone.URL + "/remote.git"
				}
				return open(t, git.Config{URL: url, Branch: view.Branch, Path: view.Path, Token: token})
			},
		}
	})
}
