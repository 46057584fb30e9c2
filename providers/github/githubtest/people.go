package githubtest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// app is a GitHub App that is installed on the repository.
type app struct {
	id, installation int64
	slug             string
	permissions      map[string]string
	minted           int
}

// tokenLife is how long an app's token is good for.
const tokenLife = time.Hour

// Let gives somebody a permission: "read", "write", "admin", or "" for none.
func (h *Hub) Let(login, permission string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.people[login] = permission
}

// SetToken has only this token of the bot's let in from now on.
func (h *Hub) SetToken(token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.tokens)
	h.tokens[token] = grant{login: Bot}
}

// Install installs an app on the repository. Whoever shows a token signed by it is the app: signatures are not looked at.
func (h *Hub) Install(id, installation int64, slug string, permissions map[string]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.app = &app{id: id, installation: installation, slug: slug, permissions: permissions}
	h.people[slug+"[bot]"] = "write"
}

// Minted is how many tokens were made for the app.
func (h *Hub) Minted() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.app.minted
}

// enterApp lets an app in by its own token.
func (h *Hub) enterApp(r *request, token string) bool {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || h.app == nil || claims.Issuer != strconv.FormatInt(h.app.id, 10) {
		return false
	}
	r.login = "app"
	return true
}

func (h *Hub) isAdmin(login string) bool { return h.people[login] == "admin" }

// mayWrite refuses those who may not.
func (h *Hub) mayWrite(r *request) bool {
	if slices.Contains([]string{"write", "admin"}, h.people[r.login]) {
		return true
	}
	r.refuse(http.StatusForbidden, "Resource not accessible by personal access token", "")
	return false
}

func (h *Hub) getUser(r *request) {
	if strings.HasSuffix(r.login, "[bot]") {
		r.refuse(http.StatusForbidden, "Resource not accessible by integration", "")
		return
	}
	u := user(r.login)
	maps.Copy(u, object{
		"name": r.login, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil, "public_repos": 0, "public_gists": 0,
		"followers": 0, "following": 0, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "user_view_type": "public",
	})
	r.reply(http.StatusOK, u)
}

func (h *Hub) getApp(r *request) {
	if r.login != "app" {
		r.refuse(http.StatusUnauthorized, "A JSON web token could not be decoded", "")
		return
	}
	r.reply(http.StatusOK, object{
		"id": h.app.id, "slug": h.app.slug, "node_id": nodeID(h.app.id), "owner": user(h.owner), "name": h.app.slug, "description": nil,
		"external_url": "https://shop.example", "html_url": web + "/apps/" + h.app.slug, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
		"permissions": h.app.permissions, "events": []string{"push"},
	})
}

func (h *Hub) getInstallation(r *request) {
	if r.login != "app" {
		r.refuse(http.StatusUnauthorized, "A JSON web token could not be decoded", "")
		return
	}
	at := fmt.Sprintf("%s/app/installations/%d", api, h.app.installation)
	r.reply(http.StatusOK, object{
		"id": h.app.installation, "account": user(h.owner), "repository_selection": "selected", "access_tokens_url": at + "/access_tokens",
		"repositories_url": api + "/installation/repositories", "html_url": web + "/settings/installations/1", "app_id": h.app.id, "app_slug": h.app.slug,
		"target_id": accountID(h.owner), "target_type": "User", "permissions": h.app.permissions, "events": []string{"push"},
		"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z", "single_file_name": nil, "suspended_by": nil, "suspended_at": nil,
	})
}

func (h *Hub) mintToken(r *request) {
	if r.login != "app" || r.PathValue("id") != strconv.FormatInt(h.app.installation, 10) {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	h.app.minted++
	token, ends := fmt.Sprintf("ghs_%d", h.app.minted), h.now().Add(tokenLife)
	h.tokens[token] = grant{login: h.app.slug + "[bot]", expires: ends}
	r.reply(http.StatusCreated, object{"token": token, "expires_at": stamp(ends), "permissions": h.app.permissions, "repository_selection": "selected"})
}

func (h *Hub) getRepository(r *request) {
	o := h.repositoryOf(h.owner, true)
	level := h.people[r.login]
	o["permissions"] = object{
		"admin": level == "admin", "maintain": level == "admin", "push": level == "admin" || level == "write", "triage": level != "", "pull": level != "",
	}
	r.reply(http.StatusOK, o)
}

func (h *Hub) getPermission(r *request) {
	login := r.PathValue("login")
	level := h.people[login]
	if level == "" {
		level = "none"
		if !strings.HasPrefix(login, "stranger") {
			r.refuse(http.StatusNotFound, login+" is not a user", "")
			return
		}
	}
	u := user(login)
	u["permissions"] = object{"pull": level != "none", "triage": false, "push": level == "write" || level == "admin", "maintain": false, "admin": level == "admin"}
	u["role_name"] = level
	r.reply(http.StatusOK, object{"permission": level, "role_name": level, "user": u})
}

func (h *Hub) getBranch(r *request) {
	name := r.PathValue("branch")
	sha := h.git.refs()["refs/heads/"+name]
	if sha == "" {
		r.refuse(http.StatusNotFound, "Branch not found", "")
		return
	}
	at := h.address("branches/%s", name)
	by := object{"name": "Robin", "email": "robin@shop.example", "date": stamp(h.now())}
	r.reply(http.StatusOK, object{
		"name": name, "protected": h.protected(), "protection": object{"enabled": h.protected()}, "protection_url": at + "/protection",
		"_links": object{"self": at, "html": h.page("tree/%s", name)},
		"commit": object{
			"sha": sha, "node_id": "C_" + sha, "url": h.address("commits/%s", sha), "html_url": h.page("commit/%s", sha), "comments_url": h.address("commits/%s/comments", sha),
			"author": nil, "committer": nil, "parents": []any{},
			"commit": object{
				"author": by, "committer": by, "message": "-", "tree": object{"sha": sha, "url": h.address("git/trees/%s", sha)}, "url": h.address("git/commits/%s", sha), "comment_count": 0,
				"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
			},
		},
	})
}

func (h *Hub) getRules(r *request) {
	rules := []any{}
	if h.protected() {
		rules = append(rules, object{"type": "non_fast_forward", "ruleset_source_type": "Repository", "ruleset_source": h.owner + "/" + h.name, "ruleset_id": 1})
	}
	r.reply(http.StatusOK, rules)
}

func (h *Hub) listHooks(r *request) {
	if !h.isAdmin(r.login) {
		r.refuse(http.StatusNotFound, "Not Found", "")
		return
	}
	r.reply(http.StatusOK, []any{})
}
