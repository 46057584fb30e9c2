package githubtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Pull is a pull request as people see it.
type Pull struct {
	Issue
	Branch string // that it is of
	Head   string // its newest commit
	Merged bool
	Landed string // the tip of what it brought
}

type pull struct {
	owner, Branch, Head, Landed, base string
	Merged                            bool
}

// ref is where a pull request's newest commit is found.
func ref(number int) string { return fmt.Sprintf("refs/pull/%d/head", number) }

// Open lets somebody open a pull request for a branch of the repository, and returns its number.
func (h *Hub) Open(by, branch, title string) (int, error) {
	return h.open(by, h.owner, branch, title, "refs/heads/"+branch)
}

// OpenFork lets a stranger open a pull request from a repository of theirs: sha is the commit that it proposes, which is
// in the bare repository.
func (h *Hub) OpenFork(by, title, sha string) (int, error) {
	return h.open(by, by, "patch", title, sha)
}

func (h *Hub) open(by, owner, branch, title, at string) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sha, err := h.git.run(by, "rev-parse", at+"^{commit}")
	if err != nil {
		return 0, err
	}
	return h.addPull(by, owner, branch, title, "", sha).Number, nil
}

func (h *Hub) addPull(by, owner, branch, title, body, sha string) *issue {
	i := h.add(by, title, body)
	i.pull = &pull{owner: owner, Branch: branch, Head: sha, base: h.git.refs()["refs/heads/"+h.options.Branch]}
	_, _ = h.git.run(by, "update-ref", ref(i.Number), sha) // follow sees to it again.
	return i
}

// Push lets a stranger move the branch of their pull request.
func (h *Hub) Push(number int, sha string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.find(number)
	i.pull.Head, i.updated = sha, h.now()
	_, _ = h.git.run(i.By, "update-ref", ref(number), sha)
}

// follow has every open pull request at the tip of its branch.
func (h *Hub) follow() {
	refs := h.git.refs()
	if !maps.Equal(refs, h.refs) {
		h.refs, h.pushed = refs, h.now()
	}
	for _, i := range h.issues {
		if i.pull == nil || i.State != "open" {
			continue
		}
		i.pull.base = refs["refs/heads/"+h.options.Branch]
		if i.pull.owner != h.owner {
			continue
		}
		if sha := refs["refs/heads/"+i.pull.Branch]; sha != "" && sha != i.pull.Head {
			i.pull.Head, i.updated = sha, h.now()
			_, _ = h.git.run(i.By, "update-ref", ref(i.Number), sha)
		}
	}
}

// Merge lets a person merge a pull request by "merge", "squash" or "rebase", and returns the release branch's new tip.
func (h *Hub) Merge(by string, number int, method string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.follow()
	i := h.find(number)
	if i == nil || i.pull == nil || i.State != "open" {
		return "", fmt.Errorf("pull request %d is not open", number)
	}
	subject := fmt.Sprintf("%s (#%d)", i.Title, number)
	if method == "merge" {
		subject = fmt.Sprintf("Merge pull request #%d from %s/%s", number, i.pull.owner, i.pull.Branch)
	}
	tip, brought, err := h.git.merge(by, method, i.pull.base, i.pull.Head, subject)
	if err != nil {
		return "", err
	}
	if _, err := h.git.run(by, "update-ref", "refs/heads/"+h.options.Branch, tip, i.pull.base); err != nil {
		return "", err
	}
	for _, sha := range brought {
		h.landed[sha] = number
	}
	i.State, i.updated, i.pull.Merged, i.pull.Landed = "closed", h.now(), true, tip
	return tip, nil
}

// Close lets a person close an issue or a pull request without merging it.
func (h *Hub) Close(number int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.find(number)
	i.State, i.updated = "closed", h.now()
}

// Pulls is every pull request, the oldest first.
func (h *Hub) Pulls() []Pull {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.follow()
	var all []Pull
	for _, i := range h.issues {
		if i.pull != nil {
			all = append(all, Pull{Issue: i.shown(), Branch: i.pull.Branch, Head: i.pull.Head, Merged: i.pull.Merged, Landed: i.pull.Landed})
		}
	}
	return all
}

func (h *Hub) listPulls(r *request) {
	h.follow()
	query := r.URL.Query()
	var found []*issue
	for _, i := range h.issues {
		switch {
		case i.pull == nil:
		case query.Get("state") != "all" && i.State != orDefault(query.Get("state"), "open"):
		case query.Get("base") != "" && query.Get("base") != h.options.Branch:
		case query.Get("head") != "" && !strings.EqualFold(query.Get("head"), i.pull.owner+":"+i.pull.Branch):
		default:
			found = append(found, i)
		}
	}
	if query.Get("sort") == "updated" {
		slices.SortStableFunc(found, func(a, b *issue) int { return a.updated.Compare(b.updated) })
	}
	if query.Get("direction") == "desc" || (query.Get("direction") == "" && query.Get("sort") == "") {
		slices.Reverse(found)
	}
	r.pulls(h, found)
}

func (r *request) pulls(h *Hub, found []*issue) {
	from, below := r.page(len(found))
	shown := []any{}
	for _, i := range found[from:below] {
		shown = append(shown, h.shapePull(i, false))
	}
	r.reply(http.StatusOK, shown)
}

func (h *Hub) pullsOfCommit(r *request) {
	sha := r.PathValue("ref")
	if !h.git.has(sha) {
		r.refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+sha, "")
		return
	}
	var found []*issue
	if number := h.landed[sha]; number > 0 {
		found = append(found, h.find(number))
	}
	r.pulls(h, found)
}

func (h *Hub) createPull(r *request) {
	var in struct {
		Title string `json:"title"`
		Body  string `json:"body"`
		Head  string `json:"head"`
		Base  string `json:"base"`
	}
	if !h.mayWrite(r) {
		return
	}
	err := json.Unmarshal(r.body, &in)
	refs := h.git.refs()
	sha := refs["refs/heads/"+in.Head]
	there := slices.ContainsFunc(h.issues, func(i *issue) bool {
		return i.pull != nil && i.State == "open" && i.pull.owner == h.owner && i.pull.Branch == in.Head
	})
	switch {
	case err != nil || in.Title == "":
		r.refuse(http.StatusUnprocessableEntity, "title is missing", "title")
	case sha == "":
		r.refuse(http.StatusUnprocessableEntity, "head is invalid", "head")
	case in.Base != h.options.Branch:
		r.refuse(http.StatusUnprocessableEntity, "base is invalid", "base")
	case there:
		r.refuse(http.StatusUnprocessableEntity, "A pull request already exists for "+h.owner+":"+in.Head+".", "")
	case sha == refs["refs/heads/"+h.options.Branch]:
		r.refuse(http.StatusUnprocessableEntity, "No commits between "+in.Base+" and "+in.Head, "")
	default:
		r.reply(http.StatusCreated, h.shapePull(h.addPull(r.login, h.owner, in.Head, in.Title, in.Body, sha), true))
	}
}
