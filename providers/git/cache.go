package git

import (
	"container/list"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/drover-dev/drover/strategy"
)

const (
	keptTrees   = 8        // whole trees; they share the content of files that are the same
	keptCommits = 4096     // commits whose tree is known
	keptBlobs   = 32 << 20 // bytes of files
)

// treeCache keeps the files of the newest trees asked for. Many commits have the same files below the path, so trees
// are kept by the hash of their folder.
type treeCache struct {
	mu      sync.Mutex
	folders *lru[string, plumbing.Hash]
	trees   *lru[plumbing.Hash, strategy.Tree]

	blobs *lru[plumbing.Hash, []byte] // guarded by Repository.turn
}

func newTreeCache() *treeCache {
	return &treeCache{
		folders: newLRU[string, plumbing.Hash](keptCommits),
		trees:   newLRU[plumbing.Hash, strategy.Tree](keptTrees),
		blobs:   newLRU[plumbing.Hash, []byte](keptBlobs),
	}
}

// at is the tree of a commit.
func (c *treeCache) at(sha string) (strategy.Tree, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	folder, ok := c.folders.get(sha)
	if !ok {
		return nil, false
	}
	return c.trees.get(folder)
}

// of is the tree of a folder, which is noted as the one of the commit.
func (c *treeCache) of(sha string, folder plumbing.Hash) (strategy.Tree, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.folders.put(sha, folder, 1)
	return c.trees.get(folder)
}

func (c *treeCache) keep(sha string, folder plumbing.Hash, tree strategy.Tree) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.folders.put(sha, folder, 1)
	c.trees.put(folder, tree, 1)
}

// lru keeps what was used last, up to a total cost. It is not safe for concurrent use.
type lru[K comparable, V any] struct {
	limit, cost int
	order       *list.List // of *held, the latest used in front
	elements    map[K]*list.Element
}

type held[K comparable, V any] struct {
	key   K
	value V
	cost  int
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{limit: limit, order: list.New(), elements: map[K]*list.Element{}}
}

func (l *lru[K, V]) get(key K) (V, bool) {
	element, ok := l.elements[key]
	if !ok {
		var none V
		return none, false
	}
	l.order.MoveToFront(element)
	return element.Value.(*held[K, V]).value, true
}

// put keeps a value that is not there yet, or replaces it.
func (l *lru[K, V]) put(key K, value V, cost int) {
	if element, ok := l.elements[key]; ok {
		l.drop(element)
	}
	l.elements[key] = l.order.PushFront(&held[K, V]{key, value, cost})
	l.cost += cost
	for l.cost > l.limit && l.order.Len() > 1 {
		l.drop(l.order.Back())
	}
}

func (l *lru[K, V]) drop(element *list.Element) {
	gone := l.order.Remove(element).(*held[K, V])
	delete(l.elements, gone.key)
	l.cost -= gone.cost
}
