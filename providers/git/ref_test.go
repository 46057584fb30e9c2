package git_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // git's own checksum
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
)

const pull = "refs/pull/7/head"

func TestFetchRef(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	base := remote.Commit(t, "base", files{"a": "1", "b": "1"})
	remote.Branch(t, pull, base, "proposal", files{"a": "2"})
	proposed := remote.CommitTo(t, pull, "proposal, mended", files{"c": "1", "link": "a"}, providertest.Mode{Path: "link", Mode: "120000"}, providertest.Submodule("module"))
	main := remote.Commit(t, "main went on", files{"b": "2"})
	server := providertest.NewGitServer(t, remote)
	repo := open(t, git.Config{URL: server.URL, Token: token})

	commit, err := repo.FetchRef(t.Context(), pull) // before Head was ever asked
	if err != nil || commit.SHA != proposed || commit.Subject != "proposal, mended" {
		t.Fatalf("got %+v, %v, want %s", commit, err, proposed)
	}
	tree, err := repo.Files(t.Context(), proposed)
	got := map[string]string{}
	for path, file := range tree {
		got[path] = string(file.Content)
	}
	if diff := cmp.Diff(map[string]string{"a": "2", "b": "1", "c": "1"}, got); diff != "" || err != nil {
		t.Errorf("files (-want +got):\n%s%v", diff, err)
	}
	if base, err := repo.MergeBase(t.Context(), main, proposed); err != nil || base != remote.Git(t, "merge-base", main, proposed) {
		t.Errorf("merge base: got %s, %v", base, err)
	}
	for ancestor, want := range map[string]bool{base: true, main: false} {
		if got, err := repo.Descends(t.Context(), proposed, ancestor); err != nil || got != want {
			t.Errorf("descends from %s: got %t, %v, want %t", ancestor, got, err, want)
		}
	}
	if got := head(t, repo).SHA; got != main {
		t.Errorf("head: got %s, want %s", got, main)
	}

	// Known commits are not fetched again, and only what is new is when there are others.
	before := server.Fetches.Load()
	if _, err := repo.FetchRef(t.Context(), pull); err != nil {
		t.Error(err)
	}
	if got := server.Fetches.Load(); got != before {
		t.Errorf("got %d fetches of a ref that did not move", got-before)
	}
	forced := remote.Branch(t, pull, main, "proposal, rebased", files{"a": "3"})
	if commit, err := repo.FetchRef(t.Context(), pull); err != nil || commit.SHA != forced {
		t.Errorf("got %s, %v, want %s", commit.SHA, err, forced)
	}
	if got, err := repo.Descends(t.Context(), forced, main); err != nil || !got {
		t.Errorf("descends from main: got %t, %v, want it to", got, err)
	}

	// When it is merged the branch has it without a fetch.
	remote.Move(t, forced)
	before = server.Fetches.Load()
	if got := head(t, repo).SHA; got != forced || server.Fetches.Load() != before {
		t.Errorf("head: got %s with %d fetches, want %s with none", got, server.Fetches.Load()-before, forced)
	}
}

func TestFetchRefThatIsNotThere(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	sha := remote.Commit(t, "one", files{"a": "1"})
	var log bytes.Buffer
	repo := open(t, git.Config{URL: remote.Dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if _, err := repo.FetchRef(t.Context(), pull); !errors.Is(err, git.ErrNoRef) || !strings.Contains(err.Error(), pull) {
		t.Errorf("got %v, want %v", err, git.ErrNoRef)
	}
	for _, name := range []string{"", "main", "pull/7/head", "refs/", "refs/pull/../x", "refs/a b"} {
		if _, err := repo.FetchRef(t.Context(), name); err == nil || errors.Is(err, git.ErrNoRef) {
			t.Errorf("%q: got %v, want an error about the name", name, err)
		}
	}
	remote.Git(t, "tag", "-a", "-m", "a tag", "v1", sha)
	remote.Git(t, "update-ref", "refs/odd/tree", sha+"^{tree}")
	for _, name := range []string{"refs/tags/v1", "refs/odd/tree"} {
		if _, err := repo.FetchRef(t.Context(), name); err == nil || !strings.Contains(err.Error(), "not at a commit") {
			t.Errorf("%s: got %v, want an error that says it is no commit", name, err)
		}
	}
	if strings.Contains(log.String(), "made anew") {
		t.Errorf("the store was made anew for it:\n%s", log.String())
	}
}

// rawTree writes a folder as it is given, which git itself would not make.
func rawTree(t *testing.T, remote *providertest.BareRemote, entries []byte) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin")
	cmd.Dir, cmd.Stdin = remote.Dir, bytes.NewReader(entries)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// entry is one of a folder, in git's own form.
func entry(t *testing.T, mode, name, sha string) []byte {
	t.Helper()
	var raw []byte
	if _, err := fmt.Sscanf(sha, "%x", &raw); err != nil {
		t.Fatal(err)
	}
	return append([]byte(mode+" "+name+"\x00"), raw...)
}

func propose(t *testing.T, remote *providertest.BareRemote, tree string) {
	t.Helper()
	remote.Git(t, "update-ref", pull, remote.Git(t, "commit-tree", "-m", "proposal", "-p", "main", tree))
}

func noise(seed int64, size int) string {
	content := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(content) //nolint:gosec // only to be incompressible
	return string(content)
}

func TestRefThatIsTooLarge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bounds git.Bounds
		make   func(t *testing.T, remote *providertest.BareRemote)
	}{
		"one file, well compressed": {git.Bounds{}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			remote.Branch(t, pull, "main", "bomb", files{"bomb": strings.Repeat("\x00", 16<<20+1)})
		}},
		"pack": {git.Bounds{Pack: 100_000}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			remote.Branch(t, pull, "main", "noise", files{"a": noise(1, 60_000), "b": noise(2, 60_000)})
		}},
		"objects": {git.Bounds{Objects: 10}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			for i := range 5 {
				remote.CommitTo(t, pull, "many", files{"a": fmt.Sprint(i)})
			}
		}},
		"all files together": {git.Bounds{Inflated: 100_000}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			remote.Branch(t, pull, "main", "many", files{"a": strings.Repeat("a", 60_000), "b": strings.Repeat("b", 60_000)})
		}},
		"many files": {git.Bounds{}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			var stream strings.Builder
			fmt.Fprintf(&stream, "commit %s\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nm\n", pull)
			for i := range 50_001 {
				fmt.Fprintf(&stream, "M 100644 inline many/%d/%d\ndata 1\nx\n", i%256, i/256) // git is slow with many in one folder
			}
			importInto(t, remote, stream.String())
		}},
		"one file, named over and over": {git.Bounds{}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			content := noise(3, 1<<20-1)
			named := files{}
			for i := range 65 {
				named[fmt.Sprint(i)] = content
			}
			remote.Branch(t, pull, "main", "copies", named)
		}},
		"folders without end": {git.Bounds{}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			tree := remote.Git(t, "rev-parse", "main^{tree}")
			leaf := rawTree(t, remote, entry(t, "160000", "module", tree))
			for range 12 {
				var entries []byte
				for i := range 10 {
					entries = append(entries, entry(t, "40000", fmt.Sprint(i), leaf)...)
				}
				leaf = rawTree(t, remote, entries)
			}
			propose(t, remote, leaf)
		}},
		"folders in each other": {git.Bounds{}, func(t *testing.T, remote *providertest.BareRemote) {
			t.Helper()
			remote.Branch(t, pull, "main", "deep", files{strings.Repeat("d/", 70) + "f": "x"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remote := providertest.NewBareRemote(t)
			one := remote.Commit(t, "one", files{"a": "1"})
			c.make(t, remote)
			state := filepath.Join(t.TempDir(), "state")
			repo := open(t, git.Config{URL: remote.Dir, StateDir: state})
			repo.Bound(c.bounds)
			head(t, repo)
			if _, err := repo.FetchRef(t.Context(), pull); !errors.Is(err, git.ErrTooLarge) {
				t.Errorf("got %v, want %v", err, git.ErrTooLarge)
			}
			// The branch is none the worse for it.
			if tree, err := repo.Files(t.Context(), one); err != nil || len(tree) != 1 {
				t.Errorf("files of the branch: got %d, %v, want 1", len(tree), err)
			}
			two := remote.Commit(t, "two", files{"a": "2"})
			if got := head(t, repo).SHA; got != two {
				t.Errorf("head: got %s, want %s", got, two)
			}
			entries, err := os.ReadDir(state)
			if err != nil || len(entries) != 1 {
				t.Errorf("state folder holds %v, %v, want the store alone", entries, err)
			}
		})
	}
}

// What is refused by its pack alone is never in the store.
func TestRefThatIsTooLargeLeavesNothing(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	remote.Branch(t, pull, "main", "noise", files{"a": noise(1, 60_000)})
	state := filepath.Join(t.TempDir(), "state")
	repo := open(t, git.Config{URL: remote.Dir, StateDir: state})
	head(t, repo)
	for _, bounds := range []git.Bounds{{Pack: 10_000}, {Object: 10_000}, {Objects: 1}} {
		repo.Bound(bounds)
		if _, err := repo.FetchRef(t.Context(), pull); !errors.Is(err, git.ErrTooLarge) {
			t.Errorf("%+v: got %v, want %v", bounds, err, git.ErrTooLarge)
		}
	}
	if got := len(packs(t, state)); got != 1 {
		t.Errorf("got %d packs, want 1", got)
	}
	repo.Bound(git.Bounds{Admitted: 1})
	for i := range 3 {
		sha := remote.Branch(t, pull, "main", "fine", files{"a": fmt.Sprint(i)})
		if commit, err := repo.FetchRef(t.Context(), pull); err != nil || commit.SHA != sha {
			t.Errorf("got %s, %v, want %s", commit.SHA, err, sha)
		}
	}
	// Made anew once, and not again within the minute.
	if got := len(packs(t, state)); got != 3 {
		t.Errorf("got %d packs, want the branch's and two of the ref", got)
	}
}

func TestNamesThatNoFileHas(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	remote.Commit(t, "one", files{"a": "1"})
	blob := remote.Git(t, "rev-parse", "main:a")
	folder := rawTree(t, remote, entry(t, "100644", "config", blob))
	var entries []byte
	for _, e := range []struct{ mode, name, sha string }{
		{"40000", "..", folder}, {"40000", ".GIT", folder}, {"40000", ".git", folder}, {"100644", "a/b", blob}, {"100644", "fine", blob},
	} {
		entries = append(entries, entry(t, e.mode, e.name, e.sha)...)
	}
	propose(t, remote, rawTree(t, remote, entries))
	repo := open(t, git.Config{URL: remote.Dir})
	commit, err := repo.FetchRef(t.Context(), pull)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := repo.Files(t.Context(), commit.SHA)
	if _, fine := tree["fine"]; err != nil || len(tree) != 1 || !fine {
		t.Errorf("got %v, %v, want the one that is fine", tree, err)
	}
}

// A folder that cannot be read is the stranger's fault: the store is not made anew for it.
func TestRefThatIsBroken(t *testing.T) {
	t.Parallel()
	remote := providertest.NewBareRemote(t)
	one := remote.Commit(t, "one", files{"a": "1"})
	propose(t, remote, rawTree(t, remote, []byte("zz not a mode\x00")))
	var log bytes.Buffer
	repo := open(t, git.Config{URL: remote.Dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	head(t, repo)
	if commit, err := repo.FetchRef(t.Context(), pull); err == nil {
		t.Errorf("got %v, want an error", commit)
	}
	if log.Len() > 0 {
		t.Errorf("it was told of: %s", log.String())
	}
	if _, err := repo.Files(t.Context(), one); err != nil {
		t.Error(err)
	}
}

// A few bytes can say: copy from what you have, over and over.
func TestDeltaIsMeasuredByWhatItMakes(t *testing.T) {
	t.Parallel()
	pack := func(result uint64) []byte {
		delta := binary.AppendUvarint(nil, 1000)
		delta = binary.AppendUvarint(delta, result)
		delta = append(delta, 0x90, 10) // copy ten bytes from the start
		var packed bytes.Buffer
		packed.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
		packed.WriteByte(7<<4 | byte(len(delta))) // made from another, by its hash
		packed.Write(make([]byte, 20))
		writer := zlib.NewWriter(&packed)
		if _, err := writer.Write(delta); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(packed.Bytes()) //nolint:gosec // git's own checksum
		return append(packed.Bytes(), sum[:]...)
	}
	if err := git.Inspect(bytes.NewReader(pack(16<<20)), git.Bounds{}); err != nil {
		t.Errorf("as large as may be: %v", err)
	}
	if err := git.Inspect(bytes.NewReader(pack(16<<20+1)), git.Bounds{}); !errors.Is(err, git.ErrTooLarge) {
		t.Errorf("larger: got %v, want %v", err, git.ErrTooLarge)
	}
	if err := git.Inspect(bytes.NewReader(pack(1<<63)), git.Bounds{}); err == nil {
		t.Error("no size at all: got no error")
	}
	for cut := range len(pack(1)) - 20 {
		if err := git.Inspect(bytes.NewReader(pack(1)[:cut]), git.Bounds{}); err == nil {
			t.Errorf("a pack of %d bytes: got no error", cut)
		}
	}
}
