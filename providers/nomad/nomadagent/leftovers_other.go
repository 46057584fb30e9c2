//go:build !linux

package nomadagent

// killBelow has nothing to do where the agent mounts nothing and its tasks end with it.
func killBelow(string) error { return nil }

// unmountBelow likewise.
func unmountBelow(string) error { return nil }
