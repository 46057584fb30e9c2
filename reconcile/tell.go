package reconcile

import (
	"context"
	"fmt"

	"github.com/drover-dev/drover/strategy"
)

// tell sets the status of a commit. Without a forge that has any there is nobody to tell.
func (l *Loop) tell(ctx context.Context, release string, report strategy.Report) error {
	statuses, ok := l.opts.Forge.(Statuses)
	if !ok {
		return nil
	}
	status := strategy.Status{Context: l.opts.Instance + "/" + release, State: report.State, Text: report.Text}
	if err := statuses.SetStatus(ctx, report.SHA, status); err != nil {
		return fmt.Errorf("set the status of %.7s: %w", report.SHA, err)
	}
	return nil
}
