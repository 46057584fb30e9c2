package strategy

// Checkup is one thing outside that was looked at, for a person who sets Drover up.
type Checkup struct {
	What   string
	State  CheckupState
	Detail string // what was seen
	Remedy string // what to do about it; "" when it is well
}

// CheckupState is how well it is.
type CheckupState string

// The states.
const (
	CheckupWell    CheckupState = "ok"
	CheckupDoubt   CheckupState = "warning" // it works, or cannot be known, and should be looked at
	CheckupMissing CheckupState = "missing"
)
