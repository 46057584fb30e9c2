package nomad

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Splits hands splits to the routers that read them from Nomad Variables, at <instance>/splits/<router>/<release>.
type Splits struct {
	// Logger is told when Nomad cannot be reached; set before the first Watch. Nobody is told when it is nil.
	Logger *slog.Logger

	client    *api.Client
	namespace string
	prefix    string
}

// NewSplits builds the splits of an instance. Publishing needs read and write on <instance>/splits/* in the namespace,
// watching list and read.
func NewSplits(client *api.Client, instance, namespace string) *Splits {
	return &Splits{client: client, namespace: namespace, prefix: segment(instance) + "/splits/"}
}

func (s *Splits) below(router string) string { return s.prefix + segment(router) + "/" }

// Publish stores a split for a router. It writes nothing when that very split is stored already, and returns when it
// is stored, not when it is in effect.
func (s *Splits) Publish(ctx context.Context, router string, split strategy.Split) error {
	text, err := json.Marshal(split)
	if err != nil {
		return fmt.Errorf("publish the split of release %s: %w", split.Release, err)
	}
	path := s.below(router) + segment(split.Release)
	stored, _, err := s.client.Variables().Peek(path, query(ctx, s.namespace))
	if err != nil {
		return fmt.Errorf("publish the split of release %s: read variable %s: %w", split.Release, path, err)
	}
	if stored != nil && stored.Items[jsonItem] == string(text) {
		return nil
	}
	variable := &api.Variable{Namespace: s.namespace, Path: path, Items: api.VariableItems{jsonItem: string(text)}}
	_, _, err = s.client.Variables().Update(variable, write(ctx, s.namespace))
	if tooLarge(err) {
		return fmt.Errorf("publish the split of release %s: with %d allocations it has %d bytes and nomad takes %d in a variable: %w",
			split.Release, len(split.Stable)+len(split.Canary), len(text), variableLimit, err)
	}
	if err != nil {
		return fmt.Errorf("publish the split of release %s: %w", split.Release, err)
	}
	return nil
}

// Split is what is published of a release for a router; false when nothing is.
func (s *Splits) Split(ctx context.Context, router, release string) (split strategy.Split, there bool, err error) {
	path := s.below(router) + segment(release)
	stored, _, err := s.client.Variables().Peek(path, query(ctx, s.namespace))
	if err != nil {
		return strategy.Split{}, false, fmt.Errorf("read variable %s: %w", path, err)
	}
	if stored == nil {
		return strategy.Split{}, false, nil
	}
	if err := json.Unmarshal([]byte(stored.Items[jsonItem]), &split); err != nil {
		return strategy.Split{}, false, fmt.Errorf("variable %s holds no split: %w", path, err)
	}
	return split, true, nil
}

// Watch calls back with all splits of a router, by release: once at the start, empty or not, and after every change.
// It blocks until ctx is done and returns its error. While Nomad is away it tries again, and what was called back
// last stays valid.
func (s *Splits) Watch(ctx context.Context, router string, changed func([]strategy.Split)) error {
	var last []strategy.Split
	told := false
	seen := map[string]seenSplit{}
	read := func(index uint64) (uint64, error) {
		options := query(ctx, s.namespace)
		options.WaitIndex, options.WaitTime = index, longestWait
		list, meta, err := s.client.Variables().PrefixList(s.below(router), options)
		if err != nil {
			return 0, fmt.Errorf("list variables below %s: %w", s.below(router), err)
		}
		splits, err := s.read(ctx, list, seen)
		if err != nil {
			return 0, err
		}
		if !told || !reflect.DeepEqual(last, splits) {
			last, told = splits, true
			changed(slices.Clone(splits))
		}
		return meta.LastIndex, nil
	}
	return follow(ctx, read, func(err error) {
		logTo(s.Logger).WarnContext(ctx, "splits cannot be read", "router", router, "error", err)
	})
}

// seenSplit is a split as it was at one index of its variable.
type seenSplit struct {
	index uint64
	split strategy.Split
}

// read decodes the splits listed, and asks only for those that are not as they were seen: of hundreds one changes at a
// time. One that cannot be decoded fails them all: leaving it out would look like a release that is gone.
func (s *Splits) read(ctx context.Context, list []*api.VariableMetadata, seen map[string]seenSplit) ([]strategy.Split, error) {
	listed := map[string]bool{}
	var changed []*api.VariableMetadata
	for _, meta := range list {
		listed[meta.Path] = true
		if known, ok := seen[meta.Path]; !ok || known.index != meta.ModifyIndex {
			delete(seen, meta.Path) // It may have vanished meanwhile.
			changed = append(changed, meta)
		}
	}
	variables, err := readEach(ctx, s.client, s.namespace, changed)
	if err != nil {
		return nil, err
	}
	for _, variable := range variables {
		var split strategy.Split
		if err := json.Unmarshal([]byte(variable.Items[jsonItem]), &split); err != nil {
			return nil, fmt.Errorf("variable %s holds no split: %w", variable.Path, err)
		}
		seen[variable.Path] = seenSplit{index: variable.ModifyIndex, split: split}
	}
	maps.DeleteFunc(seen, func(path string, _ seenSplit) bool { return !listed[path] })
	splits := []strategy.Split{}
	for _, known := range seen {
		splits = append(splits, known.split)
	}
	slices.SortFunc(splits, func(a, b strategy.Split) int { return cmp.Compare(a.Release, b.Release) })
	return splits, nil
}
