package policies

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/drover-dev/drover/strategy"
)

// The bounds on what Cached keeps.
const (
	keptLoads    = 16              // a release that was in none of the last so many trees is forgotten
	keptReleases = 2 * maxReleases // with more than that, those of the last tree alone are kept
)

// Cached is Load for those who load again and again: what it returns reads anew only the releases of which something
// changed, by the hashes of the files. Those that are wrong are read anew each time, and so are files without a hash.
//
// What it returns is safe for concurrent use. Its results share memory from one call to the next: callers do not change
// them.
func Cached(opts Options) func(strategy.Tree) ([]strategy.Release, []strategy.Mistake) {
	c := &cache{kept: map[cacheKey]*cached{}}
	return func(tree strategy.Tree) ([]strategy.Release, []strategy.Mistake) {
		c.mu.Lock()
		defer c.mu.Unlock()
		l := &loader{tree: tree, cache: c}
		l.load(opts)
		c.forget()
		return l.releases, l.mistakes
	}
}

// cache is the sound releases of the trees that were loaded last.
type cache struct {
	mu    sync.Mutex
	loads int // so far
	kept  map[cacheKey]*cached
}

// cacheKey is what a release is read from, but for the files that it names.
type cacheKey struct {
	path, hash string            // of its file
	policies   [sha256.Size]byte // of the policy files, where they are and what they say
}

// cached is a release that was read without any mistake.
type cached struct {
	release strategy.Release
	label   blockLabel
	hashes  []string // of release.Files
	used    int      // by which load
}

// find is what a release file says, when nothing that it was read from changed.
func (c *cache) find(tree strategy.Tree, key cacheKey) *cached {
	known := c.kept[key]
	if known == nil {
		return nil
	}
	for i, file := range known.release.Files {
		if tree[file].Hash != known.hashes[i] {
			return nil
		}
	}
	known.used = c.loads
	return known
}

// keep remembers a release that is sound.
func (c *cache) keep(tree strategy.Tree, key cacheKey, release strategy.Release, label blockLabel) {
	hashes := make([]string, len(release.Files))
	for i, file := range release.Files {
		if hashes[i] = tree[file].Hash; hashes[i] == "" {
			return
		}
	}
	c.kept[key] = &cached{release: release, label: label, hashes: hashes, used: c.loads}
}

// forget ends a load.
func (c *cache) forget() {
	oldest := c.loads - keptLoads
	if len(c.kept) > keptReleases {
		oldest = c.loads
	}
	for key, known := range c.kept {
		if known.used < oldest {
			delete(c.kept, key)
		}
	}
	c.loads++
}

// hashPolicies identifies all that releases may take from policies. It is called once the paths are known.
func (l *loader) hashPolicies(paths []string) {
	hash := sha256.New()
	for _, p := range paths {
		if isPolicyFile(p) {
			file := l.tree[p]
			if file.Hash == "" {
				l.cache = nil // Nobody can tell whether it changed.
				return
			}
			fmt.Fprintf(hash, "%q %s\n", p, file.Hash)
		}
	}
	l.policies = [sha256.Size]byte(hash.Sum(nil))
}

// known takes a release from the cache, and tells whether it was there.
func (l *loader) known(p string) bool {
	if l.cache == nil {
		return false
	}
	known := l.cache.find(l.tree, cacheKey{p, l.tree[p].Hash, l.policies})
	if known == nil {
		return false
	}
	l.claim([]blockLabel{known.label})
	l.releases = append(l.releases, known.release)
	return true
}

// remember puts a release without mistakes into the cache.
func (l *loader) remember(p string, release strategy.Release, label blockLabel) {
	if l.cache != nil {
		release.Files = slices.Clip(release.Files)
		l.cache.keep(l.tree, cacheKey{p, l.tree[p].Hash, l.policies}, release, label)
	}
}
