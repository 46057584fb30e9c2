package reconcile

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // Git names blobs by SHA-1.
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/drover-dev/drover/strategy"
)

// maxMerged bounds the lines of a file that is merged, since its cost grows with their square.
const maxMerged = 2000

// mergeFile is what a merge makes of a file that both sides changed since base, as Git does it: line by line. It fails where
// they changed the same lines, or lines beside each other.
func mergeFile(base, ours, theirs []byte) (merged strategy.File, ok bool) {
	b, o, t := linesOf(base), linesOf(ours), linesOf(theirs)
	if max(len(b), len(o), len(t)) > maxMerged || bytes.IndexByte(slices.Concat(base, ours, theirs), 0) >= 0 {
		return strategy.File{}, false
	}
	inOurs, inTheirs := matches(b, o), matches(b, t)
	var text []byte
	nb, no, nt := 0, 0, 0
	for {
		// What all three have in common from here on.
		for nb < len(b) && inOurs[nb] == no && inTheirs[nb] == nt {
			text = append(text, b[nb]...)
			nb, no, nt = nb+1, no+1, nt+1
		}
		// Where they have something in common again.
		eb, eo, et := nb, len(o), len(t)
		for eb < len(b) && (inOurs[eb] < 0 || inTheirs[eb] < 0) {
			eb++
		}
		if eb < len(b) {
			eo, et = inOurs[eb], inTheirs[eb]
		}
		chunk, ok := pick(b[nb:eb], o[no:eo], t[nt:et])
		if !ok {
			return strategy.File{}, false
		}
		text = append(text, chunk...)
		if nb, no, nt = eb, eo, et; nb == len(b) {
			return fileOf(text), true
		}
	}
}

// pick is the side that changed a piece; it fails when both did in ways of their own.
func pick(base, ours, theirs [][]byte) (text []byte, ok bool) {
	same := func(x, y [][]byte) bool { return slices.EqualFunc(x, y, bytes.Equal) }
	switch {
	case same(base, ours), same(ours, theirs):
		return bytes.Join(theirs, nil), true
	case same(base, theirs):
		return bytes.Join(ours, nil), true
	}
	return nil, false
}

func linesOf(text []byte) [][]byte { return slices.Collect(bytes.Lines(text)) }

// matches pairs the lines of two texts, in a longest common subsequence: for each line of a the index of its like in b, -1
// for none.
func matches(a, b [][]byte) []int {
	long := make([][]uint16, len(a)+1)
	for i := range long {
		long[i] = make([]uint16, len(b)+1)
	}
	for i, line := range slices.Backward(a) {
		for j := len(b) - 1; j >= 0; j-- {
			if bytes.Equal(line, b[j]) {
				long[i][j] = long[i+1][j+1] + 1
			} else {
				long[i][j] = max(long[i+1][j], long[i][j+1])
			}
		}
	}
	pairs := make([]int, len(a))
	for i, j := 0, 0; i < len(a); {
		switch {
		case j < len(b) && bytes.Equal(a[i], b[j]):
			pairs[i] = j
			i, j = i+1, j+1
		case j == len(b) || long[i+1][j] >= long[i][j+1]:
			pairs[i] = -1
			i++
		default:
			j++
		}
	}
	return pairs
}

// fileOf is a file as Git would store it.
func fileOf(content []byte) strategy.File {
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(content)), content...)) //nolint:gosec // Git names blobs by SHA-1.
	return strategy.File{Hash: hex.EncodeToString(sum[:]), Content: content}
}
