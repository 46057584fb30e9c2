package githubtest

import (
	"fmt"
	"maps"
	"strings"
	"time"
)

// object is one of the API's.
type object map[string]any

const (
	api = "https://api.github.com"
	web = "https://github.com"
)

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func nodeID(id int64) string { return fmt.Sprintf("N_%d", id) }

// user is an account as it is shown beside what it wrote.
func user(login string) object {
	address := api + "/users/" + strings.NewReplacer("[", "%5B", "]", "%5D", " ", "%20").Replace(login)
	kind := "User"
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	return object{
		"login": login, "id": accountID(login), "node_id": nodeID(accountID(login)), "avatar_url": web + "/" + url(login) + ".png", "gravatar_id": "",
		"url": address, "html_url": web + "/" + url(login), "followers_url": address + "/followers", "following_url": address + "/following{/other_user}",
		"gists_url": address + "/gists{/gist_id}", "starred_url": address + "/starred{/owner}{/repo}", "subscriptions_url": address + "/subscriptions",
		"organizations_url": address + "/orgs", "repos_url": address + "/repos", "events_url": address + "/events{/privacy}",
		"received_events_url": address + "/received_events", "type": kind, "site_admin": false,
	}
}

func url(login string) string {
	return strings.NewReplacer("[", "%5B", "]", "%5D", " ", "%20").Replace(login)
}

// accountID is the same for a login whenever it is asked.
func accountID(login string) int64 {
	id := int64(7)
	for _, r := range login {
		id = (id*31 + int64(r)) % 1_000_003
	}
	return id
}

// repositoryOf is a repository as it is shown within other answers; full adds what is shown of it alone.
func (h *Hub) repositoryOf(owner string, full bool) object {
	name := owner + "/" + h.name
	address, page := api+"/repos/"+name, web+"/"+name
	r := object{
		"id": accountID(name), "node_id": nodeID(accountID(name)), "name": h.name, "full_name": name, "owner": user(owner), "private": true,
		"html_url": page, "description": nil, "fork": owner != h.owner, "url": address,
	}
	for _, part := range []string{
		"archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents", "contributors", "deployments",
		"downloads", "events", "forks", "git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys", "labels",
		"languages", "merges", "milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers", "subscription", "tags",
		"teams", "trees",
	} {
		r[part+"_url"] = address + "/" + part
	}
	maps.Copy(r, object{
		"clone_url": page + ".git", "default_branch": h.options.Branch, "forks": 0, "forks_count": 0, "git_url": "git://github.com/" + name + ".git",
		"has_downloads": true, "has_issues": !h.disabled, "has_projects": false, "has_wiki": false, "has_pages": false, "homepage": nil,
		"language": "HCL", "archived": false, "disabled": false, "mirror_url": nil, "open_issues": 0, "open_issues_count": 0, "license": nil,
		"pushed_at": stamp(h.pushed), "size": 1, "ssh_url": "git@github.com:" + name + ".git", "stargazers_count": 0, "svn_url": page,
		"watchers": 0, "watchers_count": 0, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
	})
	if full {
		r["network_count"], r["subscribers_count"], r["has_discussions"] = 0, 0, false
	}
	return r
}

// address is below the repository's.
func (h *Hub) address(format string, args ...any) string {
	return api + "/repos/" + h.owner + "/" + h.name + "/" + fmt.Sprintf(format, args...)
}

// page is a page of the repository that people look at.
func (h *Hub) page(format string, args ...any) string {
	return web + "/" + h.owner + "/" + h.name + "/" + fmt.Sprintf(format, args...)
}

func (h *Hub) shapeStatus(s Status, full bool) object {
	o := object{
		"url": h.address("statuses/%s", s.SHA), "avatar_url": web + "/" + url(s.By) + ".png", "id": s.id, "node_id": nodeID(s.id), "state": s.State,
		"description": orNull(s.Text), "target_url": orNull(s.URL), "context": s.Context, "created_at": stamp(s.At), "updated_at": stamp(s.At),
	}
	if full {
		o["creator"] = user(s.By)
	}
	return o
}

func (h *Hub) shapeLabels(names []string) []any {
	labels := []any{}
	for _, l := range names {
		labels = append(labels, object{
			"id": accountID(l), "node_id": nodeID(accountID(l)), "url": h.address("labels/%s", url(l)), "name": l, "description": nil, "color": "ededed", "default": false,
		})
	}
	return labels
}

func (h *Hub) shapeIssue(i *issue) object {
	labels := h.shapeLabels(i.Labels)
	assignees := []any{}
	for _, a := range i.Assignees {
		assignees = append(assignees, user(a))
	}
	at := h.address("issues/%d", i.Number)
	o := object{
		"url": at, "repository_url": strings.TrimSuffix(h.address(""), "/"), "labels_url": at + "/labels{/name}", "comments_url": at + "/comments", "events_url": at + "/events",
		"html_url": h.page("%s/%d", i.folder(), i.Number), "id": i.id, "node_id": nodeID(i.id), "number": i.Number, "title": i.Title, "user": user(i.By),
		"labels": labels, "state": i.State, "locked": i.locked, "assignee": nil, "assignees": assignees, "milestone": nil, "comments": len(i.Comments),
		"created_at": stamp(i.At), "updated_at": stamp(i.updated), "closed_at": nil, "body": i.Body, "author_association": "CONTRIBUTOR",
	}
	if len(assignees) > 0 {
		o["assignee"] = assignees[0]
	}
	if i.State == "closed" {
		o["closed_at"], o["state_reason"] = stamp(i.updated), "completed"
	}
	if i.pull != nil {
		o["pull_request"] = object{"url": h.address("pulls/%d", i.Number), "html_url": o["html_url"], "diff_url": h.page("pull/%d.diff", i.Number), "patch_url": h.page("pull/%d.patch", i.Number)}
	}
	return o
}

func (h *Hub) shapeComment(i *issue, c *Comment) object {
	return object{
		"id": c.ID, "node_id": nodeID(c.ID), "url": h.address("issues/comments/%d", c.ID), "html_url": h.page("%s/%d#issuecomment-%d", i.folder(), i.Number, c.ID),
		"issue_url": h.address("issues/%d", i.Number), "body": c.Body, "user": user(c.By), "created_at": stamp(c.At), "updated_at": stamp(c.updated),
		"author_association": "CONTRIBUTOR",
	}
}

func (h *Hub) shapePull(i *issue, full bool) object {
	p, at, page := i.pull, h.address("pulls/%d", i.Number), h.page("pull/%d", i.Number)
	issueAt := h.address("issues/%d", i.Number)
	end := func(owner, ref, sha string, full object) object {
		o := object{"label": owner + ":" + ref, "ref": ref, "sha": sha, "user": user(owner), "repo": full}
		return o
	}
	o := object{
		"url": at, "id": i.id, "node_id": nodeID(i.id), "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch", "issue_url": issueAt,
		"commits_url": at + "/commits", "review_comments_url": at + "/comments", "review_comment_url": at + "/comments{/number}",
		"comments_url": issueAt + "/comments", "statuses_url": h.address("statuses/%s", p.Head), "number": i.Number, "state": i.State, "locked": i.locked,
		"title": i.Title, "user": user(i.By), "body": i.Body, "labels": []any{}, "milestone": nil, "created_at": stamp(i.At), "updated_at": stamp(i.updated),
		"closed_at": nil, "merged_at": nil, "merge_commit_sha": orNull(p.Landed), "assignee": nil, "draft": false, "author_association": "CONTRIBUTOR", "auto_merge": nil,
		"head":   end(p.owner, p.Branch, p.Head, h.repositoryOf(p.owner, false)),
		"base":   end(h.owner, h.options.Branch, p.base, h.repositoryOf(h.owner, false)),
		"_links": object{},
	}
	links := object{}
	for name, to := range map[string]string{
		"self": at, "html": page, "issue": issueAt, "comments": issueAt + "/comments", "review_comments": at + "/comments",
		"review_comment": at + "/comments{/number}", "commits": at + "/commits", "statuses": h.address("statuses/%s", p.Head),
	} {
		links[name] = object{"href": to}
	}
	o["_links"] = links
	if i.State == "closed" {
		o["closed_at"] = stamp(i.updated)
	}
	if p.Merged {
		o["merged_at"] = stamp(i.updated)
	}
	if full {
		maps.Copy(o, object{
			"merged": p.Merged, "mergeable": true, "mergeable_state": "clean", "merged_by": nil, "comments": len(i.Comments), "review_comments": 0,
			"maintainer_can_modify": false, "commits": 1, "additions": 1, "deletions": 1, "changed_files": 1,
		})
	}
	return o
}
