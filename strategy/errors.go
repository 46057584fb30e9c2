package strategy

import "errors"

// The errors that callers branch on. Providers wrap them; everything else they return is a failure of transport, after
// which an act may or may not have happened.
var (
	// ErrHeadMoved is a push that lost the race: the branch is no longer at the change's parent.
	ErrHeadMoved = errors.New("the branch moved")
	// ErrRefused is what the other side does not accept, however often it is tried: a push onto a protected branch, a plan
	// that our token may not ask for.
	ErrRefused = errors.New("it was refused")
	// ErrTooLarge says that there is more of something than Drover reads, or than the other side stores.
	ErrTooLarge = errors.New("it is too large")
	// ErrConflict is an act on a job that was changed since it was observed.
	ErrConflict = errors.New("the job was changed by somebody else")
	// ErrInvalid is a jobspec that Nomad does not accept; the text names file, line and remedy.
	ErrInvalid = errors.New("the jobspec is wrong")
	// ErrDenied is a request that was refused for its credentials. Providers read them again before they say so.
	ErrDenied = errors.New("the credentials are rejected")
	// ErrStale is a record that somebody else stored in the meantime.
	ErrStale = errors.New("the record was changed by another instance")
)
