//go:build unix

package disk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
)

func TestBookmark(t *testing.T) {
	providertest.TestBookmark(t, func(t *testing.T) (bookmark, other reconcile.Bookmark) {
		t.Helper()
		dir := t.TempDir()
		return open(t, dir), open(t, dir)
	})
}

func TestDamagedBookmark(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".head.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).LoadHead(t.Context()); err == nil || !strings.Contains(err.Error(), "remove it to have the present head accepted") {
		t.Errorf("got error %v, want one with the remedy", err)
	}
}
