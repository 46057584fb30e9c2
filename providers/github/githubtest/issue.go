package githubtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Issue is an issue or a pull request as people see it.
type Issue struct {
	Number            int
	Title, Body, By   string
	Labels, Assignees []string
	State             string // open or closed
	At                time.Time
	Comments          []Comment
}

// issue is one that is kept.
type issue struct {
	Issue
	id       int64
	updated  time.Time
	locked   bool
	Comments []*Comment
	pull     *pull // nil for a mere issue
}

// folder is where the issue stands in the web.
func (i *issue) folder() string {
	if i.pull != nil {
		return "pull"
	}
	return "issues"
}

const (
	maxBody  = 65536
	maxTitle = 256
)

// Issues is every issue that is no pull request, the oldest first.
func (h *Hub) Issues() []Issue {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Issue
	for _, i := range h.issues {
		if i.pull == nil {
			all = append(all, i.shown())
		}
	}
	return all
}

func (i *issue) shown() Issue {
	shown := i.Issue
	for _, c := range i.Comments {
		shown.Comments = append(shown.Comments, *c)
	}
	return shown
}

// DisableIssues makes it a repository without issues.
func (h *Hub) DisableIssues() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disabled = true
}

// find is an issue or pull request by its number, nil when there is none.
func (h *Hub) find(number int) *issue {
	if number < 1 || number > len(h.issues) {
		return nil
	}
	return h.issues[number-1]
}

// add keeps a new issue.
func (h *Hub) add(by, title, body string) *issue {
	i := &issue{id: h.id(), updated: h.now()}
	i.Issue = Issue{Number: len(h.issues) + 1, Title: title, Body: body, By: by, State: "open", At: h.now()}
	h.issues = append(h.issues, i)
	return i
}

func (h *Hub) listIssues(r *request) {
	if h.disabled {
		r.refuse(http.StatusGone, "Issues are disabled for this repo", "")
		return
	}
	query := r.URL.Query()
	since, _ := time.Parse(time.RFC3339, query.Get("since")) // Zero is no bound.
	var found []*issue
	for _, i := range h.issues {
		if (query.Get("state") == "all" || i.State == orDefault(query.Get("state"), "open")) && !i.updated.Before(since) {
			found = append(found, i)
		}
	}
	if query.Get("direction") != "asc" {
		slices.Reverse(found)
	}
	from, below := r.page(len(found))
	shown := []any{}
	for _, i := range found[from:below] {
		shown = append(shown, h.shapeIssue(i))
	}
	r.reply(http.StatusOK, shown)
}

func orDefault(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func (h *Hub) createIssue(r *request) {
	var in struct {
		Title     string   `json:"title"`
		Body      string   `json:"body"`
		Labels    []string `json:"labels"`
		Assignees []string `json:"assignees"`
	}
	err := json.Unmarshal(r.body, &in)
	stranger := slices.ContainsFunc(in.Assignees, func(login string) bool { return h.people[login] == "" })
	switch {
	case h.disabled:
		r.refuse(http.StatusGone, "Issues has been disabled in this repository.", "")
	case err != nil || strings.TrimSpace(in.Title) == "":
		r.refuse(http.StatusUnprocessableEntity, "title can't be blank", "title")
	case utf8.RuneCountInString(in.Title) > maxTitle:
		r.refuse(http.StatusUnprocessableEntity, "title is too long (maximum is 256 characters)", "title")
	case utf8.RuneCountInString(in.Body) > maxBody:
		r.refuse(http.StatusUnprocessableEntity, "body is too long (maximum is 65536 characters)", "body")
	case stranger:
		r.refuse(http.StatusUnprocessableEntity, "assignees are invalid", "assignees")
	default:
		i := h.add(r.login, in.Title, in.Body)
		i.Labels, i.Assignees = in.Labels, in.Assignees
		r.reply(http.StatusCreated, h.shapeIssue(i))
	}
}

func (h *Hub) editIssue(r *request) {
	var in struct {
		State string `json:"state"`
	}
	i := h.find(r.number())
	if i == nil {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	if err := json.Unmarshal(r.body, &in); err != nil || (in.State != "open" && in.State != "closed") {
		r.refuse(http.StatusUnprocessableEntity, "state is not included in the list", "state")
		return
	}
	i.State, i.updated = in.State, h.now()
	r.reply(http.StatusOK, h.shapeIssue(i))
}

func (h *Hub) addLabels(r *request) {
	var in struct {
		Labels []string `json:"labels"`
	}
	i := h.find(r.number())
	if i == nil {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	if json.Unmarshal(r.body, &in.Labels) != nil && json.Unmarshal(r.body, &in) != nil { // GitHub takes the bare list, too.
		r.refuse(http.StatusUnprocessableEntity, "labels are invalid", "labels")
		return
	}
	for _, name := range in.Labels {
		if !slices.Contains(i.Labels, name) {
			i.Labels = append(i.Labels, name)
		}
	}
	i.updated = h.now()
	r.reply(http.StatusOK, h.shapeLabels(i.Labels))
}

// addAssignees leaves out whom there is none of, without a word.
func (h *Hub) addAssignees(r *request) {
	var in struct {
		Assignees []string `json:"assignees"`
	}
	i := h.find(r.number())
	if err := json.Unmarshal(r.body, &in); i == nil || err != nil {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	for _, login := range in.Assignees {
		if h.people[login] != "" && !slices.Contains(i.Assignees, login) {
			i.Assignees = append(i.Assignees, login)
		}
	}
	i.updated = h.now()
	r.reply(http.StatusCreated, h.shapeIssue(i))
}

// OpenIssue lets somebody open an issue by hand, and returns its number.
func (h *Hub) OpenIssue(by, title, body string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.add(by, title, body).Number
}
