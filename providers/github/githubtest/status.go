package githubtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Status is one that was set on a commit.
type Status struct {
	SHA, Context, State, Text, URL, By string
	At                                 time.Time
	id                                 int64
}

// What GitHub takes.
const (
	maxStatuses    = 1000 // of one context on one commit
	maxDescription = 140
	maxContext     = 255
)

// Statuses is what was set on a commit, the oldest first.
func (h *Hub) Statuses(sha string) []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.statuses[sha])
}

func (h *Hub) createStatus(r *request) {
	var in struct {
		State       string `json:"state"`
		Description string `json:"description"`
		Context     string `json:"context"`
		TargetURL   string `json:"target_url"`
	}
	sha := r.PathValue("sha")
	if !h.mayWrite(r) {
		return
	}
	err := json.Unmarshal(r.body, &in)
	if in.Context == "" {
		in.Context = "default"
	}
	have := 0
	for _, s := range h.statuses[sha] {
		if strings.EqualFold(s.Context, in.Context) {
			have++
		}
	}
	switch {
	case err != nil || !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State):
		r.refuse(http.StatusUnprocessableEntity, "state is not included in the list", "state")
	case utf8.RuneCountInString(in.Description) > maxDescription:
		r.refuse(http.StatusUnprocessableEntity, "description is too long (maximum is 140 characters)", "description")
	case utf8.RuneCountInString(in.Context) > maxContext:
		r.refuse(http.StatusUnprocessableEntity, "context is too long (maximum is 255 characters)", "context")
	case !h.git.has(sha):
		r.refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha, "")
	case have >= maxStatuses:
		r.refuse(http.StatusUnprocessableEntity, "This SHA and context has reached the maximum number of statuses.", "")
	default:
		s := Status{SHA: sha, Context: in.Context, State: in.State, Text: in.Description, URL: in.TargetURL, By: r.login, At: h.now(), id: h.id()}
		h.statuses[sha] = append(h.statuses[sha], s)
		r.reply(http.StatusCreated, h.shapeStatus(s, true))
	}
}

func (h *Hub) combinedStatus(r *request) {
	sha := r.PathValue("ref")
	if !h.git.has(sha) {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	var newest []Status // of each context
	for _, s := range slices.Backward(h.statuses[sha]) {
		if !slices.ContainsFunc(newest, func(have Status) bool { return strings.EqualFold(have.Context, s.Context) }) {
			newest = append(newest, s)
		}
	}
	state := "pending"
	if len(newest) > 0 && !slices.ContainsFunc(newest, func(s Status) bool { return s.State != "success" }) {
		state = "success"
	} else if slices.ContainsFunc(newest, func(s Status) bool { return s.State == "failure" || s.State == "error" }) {
		state = "failure"
	}
	from, below := r.page(len(newest))
	shown := []any{}
	for _, s := range newest[from:below] {
		shown = append(shown, h.shapeStatus(s, false))
	}
	r.reply(http.StatusOK, object{
		"state": state, "sha": sha, "total_count": len(newest), "statuses": shown, "repository": h.repositoryOf(h.owner, false),
		"commit_url": h.address("commits/%s", sha), "url": h.address("commits/%s/status", sha),
	})
}
