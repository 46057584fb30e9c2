package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bot is who Drover is, and Token what it shows for it; People may write.
const (
	Bot    = "drover-bot"
	Token  = "token-of-drover-bot"
	Person = "robin"
)

// Options says what a Hub is made of. Repository and Dir are required.
type Options struct {
	Repository string           // OWNER/NAME
	Dir        string           // of the bare Git repository
	Branch     string           // the release branch and the repository's default; default "main"
	Now        func() time.Time // default time.Now
	// Limit is the requests in an hour; default 5000.
	Limit int
	// Check, when set, sees every request and its answer.
	Check func(next http.Handler) http.Handler
}

// Hub is one repository on GitHub. It is safe for concurrent use.
type Hub struct {
	options     Options
	owner, name string
	git         repository
	handler     http.Handler

	mu       sync.Mutex
	people   map[string]string // permissions by login
	tokens   map[string]grant
	app      *app
	statuses map[string][]Status // by commit, the oldest first
	issues   []*issue            // pull requests too; number N at N-1
	landed   map[string]int      // pull requests by the commits that they brought
	lastID   int64
	refs     map[string]string // as they were last seen
	pushed   time.Time         // when they last moved
	disabled bool              // it has no issues

	usage  usage
	faults []*Fault
	calls  []string // every request that was counted or not, as METHOD PATH
}

// grant is what a token lets its holder do.
type grant struct {
	login   string
	expires time.Time // zero for never
}

// New makes a GitHub with one repository, in which Bot and Person may write.
func New(options Options) (*Hub, error) {
	owner, name, ok := strings.Cut(options.Repository, "/")
	if !ok {
		return nil, fmt.Errorf("repository %q is not of the form OWNER/NAME", options.Repository)
	}
	if options.Branch == "" {
		options.Branch = "main"
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Limit == 0 {
		options.Limit = 5000
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "objects")); err != nil {
		return nil, fmt.Errorf("a bare repository is needed: %w", err)
	}
	h := &Hub{
		options: options, owner: owner, name: name, git: repository{dir: dir, now: options.Now, seen: map[string]bool{}},
		people: map[string]string{Bot: "write", Person: "write"}, tokens: map[string]grant{Token: {login: Bot}},
		statuses: map[string][]Status{}, landed: map[string]int{}, lastID: 1000,
	}
	h.handler = h.limited(h.routes())
	if options.Check != nil {
		h.handler = options.Check(h.handler)
	}
	return h, nil
}

func (h *Hub) routes() http.Handler {
	mux, comments := http.NewServeMux(), http.NewServeMux() // Their patterns would be in conflict.
	const repo = "/repos/{owner}/{repo}"
	for pattern, serve := range map[string]func(*Hub, *request){
		"GET /user":                     (*Hub).getUser,
		"GET /app":                      (*Hub).getApp,
		"GET " + repo + "/installation": (*Hub).getInstallation,
		"POST /app/installations/{id}/access_tokens": (*Hub).mintToken,
		"GET " + repo:                                          (*Hub).getRepository,
		"GET " + repo + "/branches/{branch}":                   (*Hub).getBranch,
		"GET " + repo + "/rules/branches/{branch}":             (*Hub).getRules,
		"GET " + repo + "/hooks":                               (*Hub).listHooks,
		"GET " + repo + "/collaborators/{login}/permission":    (*Hub).getPermission,
		"POST " + repo + "/statuses/{sha}":                     (*Hub).createStatus,
		"GET " + repo + "/commits/{ref}/status":                (*Hub).combinedStatus,
		"GET " + repo + "/commits/{ref}/pulls":                 (*Hub).pullsOfCommit,
		"GET " + repo + "/issues":                              (*Hub).listIssues,
		"POST " + repo + "/issues":                             (*Hub).createIssue,
		"PATCH " + repo + "/issues/{number}":                   (*Hub).editIssue,
		"POST " + repo + "/issues/{number}/labels":             (*Hub).addLabels,
		"POST " + repo + "/issues/{number}/assignees":          (*Hub).addAssignees,
		"GET " + repo + "/issues/{number}/comments":            (*Hub).listComments,
		"POST " + repo + "/issues/{number}/comments":           (*Hub).createComment,
		"GET " + repo + "/issues/comments":                     (*Hub).listAllComments,
		"GET " + repo + "/issues/comments/{number}":            (*Hub).getComment,
		"PATCH " + repo + "/issues/comments/{number}":          (*Hub).editComment,
		"GET " + repo + "/issues/comments/{number}/reactions":  (*Hub).listReactions,
		"POST " + repo + "/issues/comments/{number}/reactions": (*Hub).createReaction,
		"GET " + repo + "/pulls":                               (*Hub).listPulls,
		"POST " + repo + "/pulls":                              (*Hub).createPull,
	} {
		to := mux
		if strings.Contains(pattern, "/issues/comments") {
			to = comments
		}
		to.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, serve) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to := mux
		if strings.Contains(r.URL.Path, "/issues/comments") {
			to = comments
		}
		if _, pattern := to.Handler(r); pattern == "" {
			fail(w, http.StatusNotFound, "Not Found: this double does not know "+r.Method+" "+r.URL.Path)
			return
		}
		to.ServeHTTP(w, r)
	})
}

// request is one call, with who makes it and what the answer is.
type request struct {
	*http.Request
	login  string
	body   []byte
	status int
	answer any
	next   int // the page after this one
	fault  string
	field  string // that the fault is of
}

// reply answers.
func (r *request) reply(status int, answer any) { r.status, r.answer = status, answer }

// refuse answers with a fault; field, when given, is the one that it is of.
func (r *request) refuse(status int, fault, field string) {
	r.status, r.fault, r.field = status, fault, field
}

func (r *request) number() int {
	n, _ := strconv.Atoi(r.PathValue("number")) // Zero is nobody's.
	return n
}

// page is the part of a list that was asked for, from and below which index.
func (r *request) page(length int) (from, below int) {
	size, err := strconv.Atoi(r.URL.Query().Get("per_page"))
	if err != nil || size < 1 || size > 100 {
		size = 30
	}
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil || page < 1 {
		page = 1
	}
	from, below = min((page-1)*size, length), min(page*size, length)
	if below < length {
		r.next = page + 1
	}
	return from, below
}

// serve lets those in who may, and writes the answer.
func (h *Hub) serve(w http.ResponseWriter, hr *http.Request, do func(*Hub, *request)) {
	r := &request{Request: hr}
	var err error
	if r.body, err = io.ReadAll(io.LimitReader(hr.Body, 1<<20)); err != nil {
		fail(w, http.StatusBadRequest, "Problems parsing JSON")
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.enter(r) {
		fail(w, http.StatusUnauthorized, "Bad credentials")
		return
	}
	if owner := r.PathValue("owner"); owner != "" && (!strings.EqualFold(owner, h.owner) || !strings.EqualFold(r.PathValue("repo"), h.name)) {
		fail(w, http.StatusNotFound, "Not Found")
		return
	}
	if do(h, r); r.fault != "" {
		failField(w, r.status, r.fault, r.field)
		return
	}
	h.write(w, r)
}

// enter finds out who asks.
func (h *Hub) enter(r *request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token, ok = strings.CutPrefix(r.Header.Get("Authorization"), "token ")
	}
	if !ok {
		return false
	}
	if strings.Count(token, ".") == 2 {
		return h.enterApp(r, token)
	}
	g, ok := h.tokens[token]
	if !ok || (!g.expires.IsZero() && !h.options.Now().Before(g.expires)) {
		return false
	}
	r.login = g.login
	return true
}

func (h *Hub) write(w http.ResponseWriter, r *request) {
	body, err := json.Marshal(r.answer)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if r.next > 0 {
		next := *r.URL
		query := next.Query()
		query.Set("page", strconv.Itoa(r.next))
		next.RawQuery = query.Encode()
		next.Scheme, next.Host = "https", "api.github.com"
		w.Header().Set("Link", fmt.Sprintf("<%s>; rel=\"next\"", next.String()))
	}
	if r.Method == http.MethodGet {
		sum := sha256.Sum256(body)
		tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(r.status)
	_, _ = io.Copy(w, bytes.NewReader(body))
}

func fail(w http.ResponseWriter, status int, message string) { failField(w, status, message, "") }

func failField(w http.ResponseWriter, status int, message, field string) {
	answer := map[string]any{"message": message, "documentation_url": "https://docs.github.com/rest"}
	if status == http.StatusUnprocessableEntity {
		fault := map[string]any{"resource": "Resource", "code": "custom", "message": message}
		if field != "" {
			fault["field"] = field
		}
		answer["message"], answer["errors"] = "Validation Failed", []any{fault}
	}
	body, _ := json.Marshal(answer) // Of strings alone.
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// id is a number that nothing has yet.
func (h *Hub) id() int64 {
	h.lastID++
	return h.lastID
}

func (h *Hub) now() time.Time { return h.options.Now().UTC().Truncate(time.Second) }
