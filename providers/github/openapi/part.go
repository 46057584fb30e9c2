package openapi

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// apart are the things below a repository that are kept of the description, beside the repository itself, apps and users. All of it
// has nine hundred paths, and takes seconds to read.
var apart = []string{"branches", "collaborators", "comments", "commits", "git", "hooks", "installation", "issues", "labels", "pulls", "rules", "statuses"}

// kept tells whether a path of the description is read.
func kept(path string) bool {
	below, ok := strings.CutPrefix(path, "/repos/{owner}/{repo}")
	if !ok {
		return path == "/user" || path == "/rate_limit" || path == "/app" || strings.HasPrefix(path, "/app/")
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(below, "/"), "/")
	return below == "" || slices.Contains(apart, first)
}

// reference is how one place of the description names a component of it.
var reference = regexp.MustCompile(`"\$ref":\s*"#/components/([^"/]+)/([^"]+)"`)

// part is the description with the paths that are kept, and the components that those need.
func part(description []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	var paths map[string]json.RawMessage
	var components map[string]map[string]json.RawMessage
	if err := json.Unmarshal(description, &all); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(all["paths"], &paths); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(all["components"], &components); err != nil {
		return nil, err
	}
	needed := map[string]map[string]json.RawMessage{}
	var gather func(json.RawMessage)
	gather = func(text json.RawMessage) {
		for _, named := range reference.FindAllSubmatch(text, -1) {
			kind, name := string(named[1]), string(named[2])
			if needed[kind] == nil {
				needed[kind] = map[string]json.RawMessage{}
			}
			if _, done := needed[kind][name]; !done {
				needed[kind][name] = components[kind][name]
				gather(components[kind][name])
			}
		}
	}
	for path, item := range paths {
		if kept(path) {
			gather(item)
		} else {
			delete(paths, path)
		}
	}
	return json.Marshal(map[string]any{"openapi": all["openapi"], "info": all["info"], "paths": paths, "components": needed})
}
