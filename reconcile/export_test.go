package reconcile

// IsAsked tells whether a command for a release waits for a pass.
func (l *Loop) IsAsked(release string) bool { return l.isAsked(release) }
