package policies

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// Options says what to load.
type Options struct {
	// Path is the folder below which releases are looked for; "" is the whole repository. Policies, jobspecs and var
	// files may stand outside of it.
	Path string
}

// Load reads the releases out of a tree: every release.hcl and release.hcl.json below opts.Path, and the policies in
// the .hcl and .hcl.json files of every folder named policies.
//
// It returns the releases that are sound, sorted by name, and every mistake there is, sorted by place. A mistake names
// its release wherever that can be told, also when the file does not parse. A release whose policy or var file is
// broken is not returned, and has a mistake of its own. The tree is not changed, and not kept.
func Load(tree strategy.Tree, opts Options) ([]strategy.Release, []strategy.Mistake) {
	l := &loader{tree: tree}
	l.load(opts)
	return l.releases, l.mistakes
}

// LoadWithOrigins is Load, and tells besides where the values of every release that is returned were written, by the
// name of the release.
func LoadWithOrigins(tree strategy.Tree, opts Options) ([]strategy.Release, map[string]Origins, []strategy.Mistake) {
	l := &loader{tree: tree, origins: map[string]Origins{}}
	l.load(opts)
	found := map[string]Origins{}
	for _, r := range l.releases {
		found[r.Name] = l.origins[r.Name]
	}
	return l.releases, found, l.mistakes
}

func (l *loader) load(opts Options) {
	l.parsed, l.files, l.texts, l.varFiles = map[string]parsedFile{}, map[string]*hcl.File{}, map[string]string{}, map[string]varFile{}
	l.folders, l.claims = map[string][]string{}, map[string][]blockLabel{}
	paths := slices.Sorted(maps.Keys(l.tree))
	for _, p := range paths {
		folder := path.Dir(p)
		l.folders[folder] = append(l.folders[folder], p)
	}
	if l.cache != nil {
		l.hashPolicies(paths)
	}
	l.shipped, l.standard = shipped()
	l.readPolicies(paths)
	l.readReleases(releasePaths(paths, opts.Path))
	l.settleNames()
	slices.SortFunc(l.releases, func(a, b strategy.Release) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(l.mistakes, func(a, b strategy.Mistake) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Release, b.Release))
	})
}

// loader is one call of Load: what it reads, and what it found so far.
type loader struct {
	tree     strategy.Tree
	cache    *cache              // nil: everything is read
	policies [sha256.Size]byte   // identifies them, with a cache
	folders  map[string][]string // paths by their folder
	parsed   map[string]parsedFile
	files    map[string]*hcl.File // those parsed, for source snippets
	texts    map[string]string
	varFiles map[string]varFile

	shipped  []policy
	standard settings
	catalog  catalog

	claims   map[string][]blockLabel // where each release name is used
	releases []strategy.Release
	origins  map[string]Origins // by release; nil when nobody asks
	mistakes []strategy.Mistake
}

// text is the content of a file; releases that share a file share its text.
func (l *loader) text(p string) string {
	s, ok := l.texts[p]
	if !ok {
		s = string(l.tree[p].Content)
		l.texts[p] = s
	}
	return s
}

func isHCL(p string) bool { return strings.HasSuffix(p, ".hcl") || strings.HasSuffix(p, ".hcl.json") }

func isReleaseFile(p string) bool {
	base := path.Base(p)
	return base == "release.hcl" || base == "release.hcl.json"
}

// releasePaths is the release files below a folder.
func releasePaths(paths []string, folder string) []string {
	prefix := strings.TrimPrefix(path.Clean("/"+folder), "/")
	if prefix != "" {
		prefix += "/"
	}
	var found []string
	for _, p := range paths {
		if strings.HasPrefix(p, prefix) && isReleaseFile(p) {
			found = append(found, p)
		}
	}
	return found
}

func (l *loader) readReleases(paths []string) {
	if len(paths) > maxReleases {
		l.report("", faults("Too many releases", startOf(paths[maxReleases]),
			"The repository has %d release files; those after the first %d are not read. Divide it between instances of Drover.", len(paths), maxReleases))
		paths = paths[:maxReleases]
	}
	for _, p := range paths {
		if !l.known(p) {
			l.readReleaseFile(p)
		}
	}
}

var releaseFileSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "release", LabelNames: []string{"name"}}}}

// readReleaseFile reads the one release of a file.
func (l *loader) readReleaseFile(p string) {
	file, diags := l.parse(p)
	if diags.HasErrors() {
		labels := labelsIn(p, file, l.tree[p].Content, "release")
		l.claim(labels)
		name := ""
		if len(labels) > 0 {
			name = labels[0].name
		}
		l.report(name, diags)
		return
	}
	content, diags := file.Body.Content(releaseFileSchema)
	blocks := content.Blocks
	if len(blocks) == 0 {
		if !diags.HasErrors() {
			diags = faults("Missing release", startOf(p), "The file holds no release. It needs one block: release \"web\" { ... }.")
		}
		l.report("", diags)
		return
	}
	for i, block := range blocks {
		release, d := l.decodeReleaseBlock(block)
		if i == 0 {
			d = append(d, diags...)
		}
		if len(blocks) > 1 {
			d = append(d, fault("Several releases in one file", block.DefRange, "A file holds one release. Move each to a release.hcl of its own folder."))
		}
		label := blockLabel{name: block.Labels[0], at: block.LabelRanges[0]}
		l.claim([]blockLabel{label})
		l.report(release.Name, d)
		if !d.HasErrors() {
			l.releases = append(l.releases, release)
		}
		if len(d) == 0 {
			l.remember(p, release, label)
		}
	}
}

// claim notes where release names are used.
func (l *loader) claim(labels []blockLabel) {
	for _, label := range labels {
		l.claims[label.name] = append(l.claims[label.name], label)
	}
}

// settleNames refuses releases of one name: nobody can tell which of them is meant.
func (l *loader) settleNames() {
	for name, labels := range l.claims {
		if len(labels) < 2 {
			continue
		}
		for i, label := range labels {
			_, _ = l.parse(label.at.Filename) // Which may be known from another tree; the mistake shows the line.
			other := labels[0]
			if i == 0 {
				other = labels[1]
			}
			l.report(name, faults("Duplicate release", label.at, "There is another release %q at %s. Rename one of them; neither is released.", name, place(other.at)))
		}
	}
	l.releases = slices.DeleteFunc(l.releases, func(r strategy.Release) bool { return len(l.claims[r.Name]) > 1 })
}
