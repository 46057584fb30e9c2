package git

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing/object"
)

// Message is the whole message of a commit that Head or Log returned. It does not ask the remote.
func (r *Repository) Message(ctx context.Context, sha string) (string, error) {
	return exclusively(ctx, r, r.config.Timeout, func(ctx context.Context) (message string, err error) {
		err = r.read(ctx, sha, func(commit *object.Commit) error {
			message = commit.Message
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("read the message of %s: %w", sha, err)
		}
		return message, nil
	})
}
