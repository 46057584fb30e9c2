package judge

// Answer is what a test says.
type Answer int

// The answers.
const (
	Unsure Answer = iota // neither is shown
	Within               // shown to be within the limit
	Beyond               // shown to be beyond the limit
)
