// Package git is the release repository: one branch of one Git repository, followed and written to by go-git, with no
// working copy.
//
// It decides how the branch is read and how a commit reaches it safely. What a commit should hold, whether a branch
// that was rewritten may be trusted, and what to do when a push is refused is left to the caller.
//
//	repo, err := git.New(git.Config{URL: "https://git.example.com/shop/releases", Token: token, StateDir: dir})
//	head, err := repo.Head(ctx)
//	tree, err := repo.Files(ctx, head.SHA)
//
// Invariants:
//
//   - the branch is never forced: a commit is pushed as compare-and-set on the parent that the caller named, which the
//     remote itself checks once more;
//   - a push that was answered with an error is looked up before it is reported, so that an answer that was lost is
//     neither repeated nor taken for a refusal;
//   - a commit alters the paths that the change names and nothing else, byte for byte;
//   - credentials are in no error, no log and no file.
//
// The store below Config.StateDir is a cache: it may be deleted at any time while nothing runs, and is built anew when
// it is damaged. It holds the full history of the one branch, since an increment to a full history costs kilobytes, but
// one to a shallow copy costs the whole tree each time.
//
// Design decision, 2026-11: connections to the remote are opened here, not by go-git's Remote. Its Push walks all trees
// of all history to find what the remote lacks, which is known exactly here; its Fetch neither bounds the pack nor lets
// each repository have its own HTTP client, which keeps credentials from following redirects.
//
// A repository on this machine (a path or a file address) is spoken to by its own git program, so that its hooks and
// locks hold; git must then be on PATH.
package git
