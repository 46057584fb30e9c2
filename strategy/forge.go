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

// Closing ends an incident: its issue is closed with a comment.
type Closing struct {
	Marker string    // of the issue
	Since  time.Time // the issue was written to after this
	Text   string    // Markdown
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
