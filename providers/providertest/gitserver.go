package providertest

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// GitToken is the password that a GitServer takes, until SetToken.
const GitToken = "s3cr3t-t0ken"

// gitUser is whom a GitServer lets in, as forges do for tokens.
const gitUser = "x-access-token"

// GitServer serves a BareRemote over HTTP as a forge does: git's own program, for reading and writing, behind basic
// authentication.
type GitServer struct {
	// URL is where the repository is, without credentials.
	URL string
	// Fetches counts the packs that were asked for.
	Fetches atomic.Int64

	mu        sync.Mutex
	token     string
	intercept Intercept
}

// Intercept sees a request that was let in before git does; true says that it answered it.
type Intercept func(w http.ResponseWriter, r *http.Request, git http.Handler) bool

// NewGitServer serves the remote until the test ends.
func NewGitServer(t *testing.T, remote *BareRemote) *GitServer {
	t.Helper()
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatalf("the server needs the git program: %v", err)
	}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Dir: remote.Dir,
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Dir(remote.Dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1",
			"HOME=" + remote.Dir, "PATH=" + os.Getenv("PATH"), "REMOTE_USER=" + gitUser,
		},
	}
	s := &GitServer{token: GitToken}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		token, intercept := s.token, s.intercept
		s.mu.Unlock()
		user, password, _ := r.BasicAuth()
		if user != gitUser || password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			// It repeats what it was told, so that a client that quotes it can be seen to leak.
			http.Error(w, "no such user: "+user+" with "+password, http.StatusUnauthorized)
			return
		}
		if filepath.Base(r.URL.Path) == "git-upload-pack" {
			s.Fetches.Add(1)
		}
		if intercept != nil && intercept(w, r, backend) {
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL + "/" + filepath.Base(remote.Dir)
	return s
}

// SetToken has only this password let in from now on.
func (s *GitServer) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Answer has f see every request first.
func (s *GitServer) Answer(f Intercept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// URLWithToken is the address with the credentials in it, for the git program.
func (s *GitServer) URLWithToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Replace(s.URL, "http://", "http://"+gitUser+":"+s.token+"@", 1)
}
