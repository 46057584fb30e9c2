//go:build !unix

package disk

import (
	"context"
	"errors"
	"fmt"
)

// acquire is refused where there is no lock that ends with its process.
func acquire(_ context.Context, name string) (release func() error, err error) {
	return nil, fmt.Errorf("lock the ledger by %s: this system has no such lock: keep the ledger in Nomad: %w", name, errors.ErrUnsupported)
}
