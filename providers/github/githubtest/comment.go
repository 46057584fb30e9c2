package githubtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Comment is what somebody wrote below an issue or pull request.
type Comment struct {
	ID        int64
	By, Body  string
	At        time.Time
	Edits     int
	Reactions []Reaction
	updated   time.Time
}

// Reaction is one to a comment.
type Reaction struct {
	By, Content string
	id          int64
	at          time.Time
}

// Write lets somebody comment, and returns the comment's id.
func (h *Hub) Write(by string, number int, body string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.comment(by, h.find(number), body).ID
}

// Lock closes a conversation to comments.
func (h *Hub) Lock(number int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.find(number).locked = true
}

// Comments is what was written below an issue or pull request, the oldest first.
func (h *Hub) Comments(number int) []Comment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.find(number).shown().Comments
}

// DeleteComment lets a person delete one.
func (h *Hub) DeleteComment(id int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, c := h.findComment(id); c != nil {
		i.Comments = slices.DeleteFunc(i.Comments, func(other *Comment) bool { return other == c })
	}
}

func (h *Hub) comment(by string, i *issue, body string) *Comment {
	c := &Comment{ID: h.id(), By: by, Body: body, At: h.now(), updated: h.now()}
	i.Comments = append(i.Comments, c)
	i.updated = h.now()
	return c
}

func (h *Hub) findComment(id int64) (*issue, *Comment) {
	for _, i := range h.issues {
		for _, c := range i.Comments {
			if c.ID == id {
				return i, c
			}
		}
	}
	return nil, nil
}

func (h *Hub) listComments(r *request) {
	i := h.find(r.number())
	if i == nil {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	from, below := r.page(len(i.Comments))
	shown := []any{}
	for _, c := range i.Comments[from:below] {
		shown = append(shown, h.shapeComment(i, c))
	}
	r.reply(http.StatusOK, shown)
}

func (h *Hub) listAllComments(r *request) {
	since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("since")) // Zero is no bound.
	type written struct {
		issue   *issue
		comment *Comment
	}
	var all []written
	for _, i := range h.issues {
		for _, c := range i.Comments {
			if !c.updated.Before(since) {
				all = append(all, written{i, c})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b written) int { return a.comment.updated.Compare(b.comment.updated) })
	from, below := r.page(len(all))
	shown := []any{}
	for _, w := range all[from:below] {
		shown = append(shown, h.shapeComment(w.issue, w.comment))
	}
	r.reply(http.StatusOK, shown)
}

func (h *Hub) createComment(r *request) {
	i := h.find(r.number())
	body, ok := r.text()
	switch {
	case i == nil:
		r.refuse(http.StatusNotFound, "Not Found", "")
	case i.locked && !h.isAdmin(r.login):
		r.refuse(http.StatusForbidden, "Unable to create comment because issue is locked.", "")
	case !ok:
		r.refuse(http.StatusUnprocessableEntity, "body is missing or too long", "body")
	default:
		r.reply(http.StatusCreated, h.shapeComment(i, h.comment(r.login, i, body)))
	}
}

// text is the body that was sent.
func (r *request) text() (string, bool) {
	var in struct {
		Body string `json:"body"`
	}
	err := json.Unmarshal(r.body, &in)
	return in.Body, err == nil && strings.TrimSpace(in.Body) != "" && utf8.RuneCountInString(in.Body) <= maxBody
}

func (h *Hub) getComment(r *request) {
	i, c := h.findComment(int64(r.number()))
	if c == nil {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	r.reply(http.StatusOK, h.shapeComment(i, c))
}

func (h *Hub) editComment(r *request) {
	i, c := h.findComment(int64(r.number()))
	body, ok := r.text()
	switch {
	case c == nil:
		r.refuse(http.StatusNotFound, "Not Found", "")
	case c.By != r.login && !h.isAdmin(r.login):
		r.refuse(http.StatusForbidden, "Must have admin rights to Repository.", "")
	case !ok:
		r.refuse(http.StatusUnprocessableEntity, "body is missing or too long", "body")
	default:
		c.Body, c.updated = body, h.now()
		c.Edits++
		r.reply(http.StatusOK, h.shapeComment(i, c))
	}
}

func (r *request) react(reaction Reaction) object {
	return object{"id": reaction.id, "node_id": nodeID(reaction.id), "user": user(reaction.By), "content": reaction.Content, "created_at": stamp(reaction.at)}
}

func (h *Hub) listReactions(r *request) {
	_, c := h.findComment(int64(r.number()))
	if c == nil {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	from, below := r.page(len(c.Reactions))
	shown := []any{}
	for _, reaction := range c.Reactions[from:below] {
		shown = append(shown, r.react(reaction))
	}
	r.reply(http.StatusOK, shown)
}

func (h *Hub) createReaction(r *request) {
	var in struct {
		Content string `json:"content"`
	}
	_, c := h.findComment(int64(r.number()))
	err := json.Unmarshal(r.body, &in)
	switch {
	case c == nil:
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	case err != nil || !slices.Contains([]string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}, in.Content):
		r.refuse(http.StatusUnprocessableEntity, "content is not included in the list", "content")
		return
	}
	for _, there := range c.Reactions {
		if there.By == r.login && there.Content == in.Content {
			r.reply(http.StatusOK, r.react(there))
			return
		}
	}
	reaction := Reaction{By: r.login, Content: in.Content, id: h.id(), at: h.now()}
	c.Reactions = append(c.Reactions, reaction)
	r.reply(http.StatusCreated, r.react(reaction))
}
