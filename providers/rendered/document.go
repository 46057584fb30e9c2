package rendered

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/drover-dev/drover/strategy"
)

// Document is what is published for a balancer.
type Document struct {
	Sum      string  `json:"sum"` // of Releases; the balancer says it when it has loaded them
	Releases []Entry `json:"releases"`
}

// Entry is one release, as templates read it: the split's own fields (release, service, stable and canary with their
// addresses and alloc ids), and what they would have to compute.
type Entry struct {
	strategy.Split
	Symbol     string `json:"symbol"`     // the release's name as part of a variable's: letters, digits and _
	Share      string `json:"share"`      // of the canary, in percent with two digits: "5.00"
	Hundredths string `json:"hundredths"` // the same in hundredths of a percent, from "0" to "10000"
	// Rest is the track that gets what is not divided: "stable", or "canary" when that gets all.
	Rest strategy.Track `json:"rest"`
	// Divided says that both tracks get requests: the canary its share, stable the rest.
	Divided bool `json:"divided"`
	// Sticky says of those that are divided that users stay where they were answered first, by a cookie whose value is
	// sessions and ".s" or ".c".
	Sticky bool `json:"sticky"`
}

// entry is a split as templates read it. A canary that nobody answers for leaves its share to stable.
func entry(split strategy.Split) Entry {
	weight := min(max(split.Weight, 0), strategy.Full)
	if len(split.Canary) == 0 {
		weight = 0
	}
	e := Entry{
		Split: split, Symbol: strategy.Symbol(split.Release), Hundredths: strconv.Itoa(int(weight)),
		Share: fmt.Sprintf("%d.%02d", weight/100, weight%100), Rest: strategy.Stable, Divided: weight > 0 && weight < strategy.Full,
	}
	if weight == strategy.Full {
		e.Rest = strategy.Canary
	}
	e.Sticky = e.Divided && split.Sessions != ""
	return e
}

// document is what is published of these splits, by their releases.
func document(splits []strategy.Split) (Document, string, error) {
	d := Document{Releases: []Entry{}}
	for _, split := range splits {
		d.Releases = append(d.Releases, entry(split))
	}
	slices.SortFunc(d.Releases, func(a, b Entry) int { return cmp.Compare(a.Release, b.Release) })
	content, err := json.Marshal(d.Releases)
	if err != nil {
		return Document{}, "", fmt.Errorf("write down the splits: %w", err)
	}
	d.Sum = checksum(content)
	text, err := json.Marshal(d)
	if err != nil {
		return Document{}, "", fmt.Errorf("write down the splits: %w", err)
	}
	return d, string(text), nil
}

func checksum(releases []byte) string {
	sum := sha256.Sum256(releases)
	return hex.EncodeToString(sum[:8])
}

// errEdited says that the item is not as Drover wrote it.
type errEdited struct{ path string }

func (e errEdited) Error() string {
	return fmt.Sprintf("item %q of variable %s was changed by somebody else: the next split overwrites it", itemName, e.path)
}

// parse reads what was published, by whatever version of Drover. What a person changed is found by its checksum.
func parse(text, path string) (Document, error) {
	if text == "" {
		return Document{}, nil
	}
	var d Document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return Document{}, errEdited{path}
	}
	var written struct {
		Releases json.RawMessage `json:"releases"`
	}
	if err := json.Unmarshal([]byte(text), &written); err != nil || checksum(written.Releases) != d.Sum {
		return d, errEdited{path}
	}
	return d, nil
}

// splits are those of the document.
func (d Document) splits() []strategy.Split {
	var all []strategy.Split
	for _, e := range d.Releases {
		all = append(all, e.Split)
	}
	return all
}

// of is the split of a release, a zero one when there is none.
func (d Document) of(release string) strategy.Split {
	for _, e := range d.Releases {
		if e.Release == release {
			return e.Split
		}
	}
	return strategy.Split{}
}

// allocs is how many allocations the document holds.
func (d Document) allocs() int {
	n := 0
	for _, e := range d.Releases {
		n += len(e.Stable) + len(e.Canary)
	}
	return n
}
