package git_test

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/drover-dev/drover/providers/providertest"
)

const token = "s3cr3t-t0ken"

// smartHTTP serves a remote as a forge does: git's own program behind basic authentication.
type smartHTTP struct {
	URL string
	// intercept, when set, may answer a request in the place of git; it reports whether it did.
	intercept atomic.Pointer[func(w http.ResponseWriter, r *http.Request, git http.Handler) bool]
	fetches   atomic.Int64
}

func serve(t *testing.T, remote *providertest.BareRemote) *smartHTTP {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Dir: remote.Dir,
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Dir(remote.Dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1",
			"HOME=" + remote.Dir, "PATH=" + os.Getenv("PATH"), "REMOTE_USER=x-access-token",
		},
	}
	s := &smartHTTP{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "x-access-token" || password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "no such user: "+user+" with "+password, http.StatusUnauthorized)
			return
		}
		if filepath.Base(r.URL.Path) == "git-upload-pack" {
			s.fetches.Add(1)
		}
		if intercept := s.intercept.Load(); intercept != nil && (*intercept)(w, r, backend) {
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL + "/" + filepath.Base(remote.Dir)
	return s
}

// answer has f see every request first.
func (s *smartHTTP) answer(f func(w http.ResponseWriter, r *http.Request, git http.Handler) bool) {
	s.intercept.Store(&f)
}
