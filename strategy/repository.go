package strategy

import "time"

// Tree is the files of one commit by their path in the repository, slashes between the parts.
type Tree map[string]File

// File is a file with the hash of its content.
type File struct {
	Hash    string // Git's blob hash
	Content []byte
}

// Change is a commit to be made. A nil file is a path to be deleted; paths that are not named stay.
type Change struct {
	Parent  string // the head that the change was made for
	Files   map[string]*File
	Message string
}

// Mistake is something wrong in the release repository.
type Mistake struct {
	Release string // "" when the file does not say whose it is
	Path    string
	Line    int
	Text    string // one line: what is wrong
	Detail  string // the whole diagnostic, with source and remedy
}

// Issue is what people are told about a rollback.
type Issue struct {
	Marker    string // identifies it: the same marker is the same issue
	Part      string // identifies what is told: an issue may have several parts, those after the first below it
	Title     string // of the first part
	Body      string // Markdown
	Labels    []string
	Assignees []string
	Since     time.Time // it cannot have been opened before; zero when that is not known
}

// Status is what a commit's status says.
type Status struct {
	Context string // names the status: <instance>/<release>
	State   ReportState
	Text    string // one line
	URL     string // where more is said; "" for nowhere
}

// Heads is where the branch was seen.
type Heads struct {
	Accepted string `json:"accepted"`         // the newest head that descends from those before it, or that a person accepted
	Forced   string `json:"forced,omitempty"` // a newer head that does not descend from it
}
