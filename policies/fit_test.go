package policies_test

import (
	"github.com/drover-dev/drover/policies"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var _ reconcile.Loader = func(tree strategy.Tree) ([]strategy.Release, []strategy.Mistake) {
	return policies.Load(tree, policies.Options{})
}
