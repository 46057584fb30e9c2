//go:build unix

package disk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/disk"
	"github.com/drover-dev/drover/providers/providertest"
	"github.com/drover-dev/drover/reconcile"
	"github.com/drover-dev/drover/strategy"
)

var _ reconcile.Ledger = (*disk.Ledger)(nil)

func open(t *testing.T, dir string) *disk.Ledger {
	t.Helper()
	ledger, err := disk.NewLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	return ledger
}

func record(release string, index uint64) strategy.Record {
	return strategy.Record{Rollout: strategy.Rollout{Release: release, Phase: strategy.Resting}, Index: index}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

func TestConformance(t *testing.T) {
	t.Parallel()
	providertest.TestLedger(t, func(t *testing.T) (reconcile.Ledger, reconcile.Ledger) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "ledger")
		return open(t, dir), open(t, dir)
	})
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state", "ledger")
	if _, err := open(t, dir).Store(t.Context(), record("web", 0)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "web.json"): 0o600} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s: got %o, want %o", name, got, want)
		}
	}
}

func TestLeftoversOfAWriterThatDied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	index, err := open(t, dir).Store(t.Context(), record("web", 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).StoreHead(t.Context(), strategy.Heads{}); err != nil {
		t.Fatal(err)
	}
	for _, half := range []string{".web.json123", "..head.json123"} {
		if err := os.WriteFile(filepath.Join(dir, half), []byte(`{"format":1,"index":9,"roll`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The one that takes over is another process.
	ledger := open(t, dir)
	records, err := ledger.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]strategy.Record{record("web", index)}, records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if _, err := ledger.Store(t.Context(), record("web", index)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".head.json", ".lock", "web.json"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"cut off":   `{"format":1,"index":3,"rollout":{"rele`,
		"empty":     "",
		"no index":  `{"format":1,"rollout":{"release":"web"}}`,
		"too new":   `{"format":2,"index":3,"rollout":{"release":"web"}}`,
		"not typed": `{"format":1,"index":"three","rollout":{"release":"web"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ledger := open(t, dir)
			for _, release := range []string{"api", "web", "zeta"} {
				if _, err := ledger.Store(t.Context(), record(release, 0)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "web.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			records, err := ledger.Load(t.Context())
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move") {
				t.Errorf("got error %v, want one that names %s and says what to do", err, path)
			}
			if diff := cmp.Diff([]strategy.Record{record("api", 1), record("zeta", 1)}, records); diff != "" {
				t.Errorf("records beside the damaged one (-want +got):\n%s", diff)
			}
			for _, index := range []uint64{0, 1} {
				if _, err := ledger.Store(t.Context(), record("web", index)); err == nil || errors.Is(err, strategy.ErrStale) {
					t.Errorf("store over a damaged file at index %d: got %v, want an error of its own", index, err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != content {
				t.Errorf("the damaged file was overwritten: got %q", got)
			}
		})
	}
}

func TestNamesBecomeFilesOfTheFolder(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	dir := filepath.Join(parent, "ledger")
	ledger := open(t, dir)
	odd := []string{"../escape", ".hidden", "a/b", "größe", "with space", "..", "a.json", ".lock"}
	for _, release := range odd {
		if _, err := ledger.Store(t.Context(), record(release, 0)); err != nil {
			t.Errorf("store %q: %v", release, err)
		}
	}
	records, err := ledger.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != len(odd) {
		t.Errorf("got %d records, want %d", len(records), len(odd))
	}
	if diff := cmp.Diff([]string{"ledger"}, names(t, parent)); diff != "" {
		t.Errorf("files beside the folder (-want +got):\n%s", diff)
	}
}

func TestLockIsWaitedForAsLongAsTheContextLasts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder, stop := writerProcess(t, dir, "hold")
	defer stop()
	if _, err := holder.ReadByte(); err != nil {
		t.Fatalf("the other process did not take the lock: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := open(t, dir).Store(ctx, record("web", 0)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	stop()
	if _, err := open(t, dir).Store(t.Context(), record("web", 0)); err != nil {
		t.Errorf("after the holder was killed: %v", err)
	}
}

// Two processes count in one record: each adds one, trying again when it lost. No addition may be lost.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const rounds = 25
	one, stopOne := writerProcess(t, dir, strconv.Itoa(rounds))
	defer stopOne()
	two, stopTwo := writerProcess(t, dir, strconv.Itoa(rounds))
	defer stopTwo()
	for _, process := range []interface{ ReadString(byte) (string, error) }{one, two} {
		if said, err := process.ReadString('\n'); err != nil || said != "done\n" {
			t.Fatalf("a writer said %q, %v", said, err)
		}
	}
	records, err := open(t, dir).Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 1 || records[0].Index != 2*rounds || records[0].Rollout.Step != 2*rounds {
		t.Errorf("got %d records, %+v; want index and step %d", len(records), records, 2*rounds)
	}
}

// increment adds one to the record's step, looking again as often as it loses.
func increment(ctx context.Context, ledger *disk.Ledger) error {
	for {
		records, err := ledger.Load(ctx)
		if err != nil {
			return err
		}
		next := record("web", 0)
		if len(records) == 1 {
			next = records[0]
		}
		next.Rollout.Step++
		if _, err = ledger.Store(ctx, next); !errors.Is(err, strategy.ErrStale) {
			return err
		}
	}
}

// TestMain is also the program of the processes that the tests start.
func TestMain(m *testing.M) {
	dir, task := os.Getenv("DROVER_TEST_LEDGER"), os.Getenv("DROVER_TEST_TASK")
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := write(dir, task); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(dir, task string) error {
	if task == "hold" {
		return hold(filepath.Join(dir, ".lock"))
	}
	rounds, err := strconv.Atoi(task)
	if err != nil {
		return err
	}
	ledger, err := disk.NewLedger(dir)
	if err != nil {
		return err
	}
	for range rounds {
		if err := increment(context.Background(), ledger); err != nil {
			return err
		}
	}
	fmt.Println("done")
	return nil
}

func command(dir, task string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DROVER_TEST_LEDGER="+dir, "DROVER_TEST_TASK="+task)
	cmd.Stderr = os.Stderr
	return cmd
}
