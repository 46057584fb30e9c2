package strategy

import "time"

// Pull is a pull request.
type Pull struct {
	Number int
	URL    string
	Title  string
	Author string // who opened it
	Head   string // the newest commit that it proposes
	Ref    string // of the repository, that is at it
	Fork   bool   // it comes from another repository: what it holds is a stranger's
	Merged bool
}

// Proposal is a pull request to be opened. The branch identifies it: the same branch is the same pull request.
type Proposal struct {
	Branch string // holds the change already
	Title  string
	Body   string // Markdown
}

// Closing ends one part of an issue: with a comment, and with the last part the issue is closed.
type Closing struct {
	Marker string    // of the issue
	Part   string    // that ended
	Since  time.Time // the issue was written to after this
	Text   string    // Markdown
	Open   bool      // other parts have not ended: the issue stays open
}

// Word is what somebody wrote below a pull request.
type Word struct {
	ID     int64
	Pull   int
	Author string
	At     time.Time
	Text   string
	Mine   bool // Drover wrote it
}

// Answer is how Drover shows below a word what became of it.
type Answer string

// The answers.
const (
	AnswerDone    Answer = "done"    // it was obeyed
	AnswerRefused Answer = "refused" // its author may not say so
	AnswerVoid    Answer = "void"    // there is nothing that it could change
)
