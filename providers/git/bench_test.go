package git_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-dev/drover/providers/git"
	"github.com/drover-dev/drover/providers/providertest"
)

// BenchmarkFiles reads all files of a head that nothing was read of before: the first one after a start.
func BenchmarkFiles(b *testing.B) {
	for _, releases := range []int{200, 10_000} {
		b.Run(fmt.Sprintf("of %d releases", releases), func(b *testing.B) {
			remote := providertest.NewBareRemote(b)
			var stream strings.Builder
			fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter A <a@example.com> 1700000000 +0000\ndata 1\nm\n")
			for i := range releases {
				name := fmt.Sprintf("service-%05d", i)
				for _, file := range []string{"release.hcl", name + ".nomad.hcl"} {
					content := fmt.Sprintf("# %s\n%s", name, strings.Repeat("count = 3\n", 60))
					fmt.Fprintf(&stream, "M 100644 inline releases/%s/%s\ndata %d\n%s\n", name, file, len(content), content)
				}
			}
			load := exec.CommandContext(b.Context(), "git", "fast-import", "--quiet", "--force")
			load.Dir, load.Stdin = remote.Dir, strings.NewReader(stream.String())
			if out, err := load.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
			state := filepath.Join(b.TempDir(), "state")
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				repo, err := git.New(git.Config{URL: remote.Dir, StateDir: state})
				if err != nil {
					b.Fatal(err)
				}
				commit, err := repo.Head(b.Context()) // The first fetches.
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				tree, err := repo.Files(b.Context(), commit.SHA)
				if err != nil || len(tree) != 2*releases {
					b.Fatalf("got %d files, %v", len(tree), err)
				}
				if err := repo.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
