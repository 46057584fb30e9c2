package nomadagent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// killBelow kills what the agent left behind: every process whose environment names its directory, as those of its
// tasks and helpers do. An agent that was killed ends none of them itself.
func killBelow(dir string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("look for its processes: %w", err)
	}
	var problems []error
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil || !bytes.Contains(environ, []byte("="+dir)) {
			continue // It ended meanwhile, or it is not ours to look into.
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			problems = append(problems, fmt.Errorf("kill process %d: %w", pid, err))
		}
	}
	return errors.Join(problems...)
}

// unmountBelow takes away what the agent mounted for its tasks, the innermost first.
func unmountBelow(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return fmt.Errorf("look for its mounts: %w", err)
	}
	var targets []string
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			targets = append(targets, fields[1])
		}
	}
	slices.Sort(targets)
	var problems []error
	for _, target := range slices.Backward(targets) {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			problems = append(problems, fmt.Errorf("unmount %s: %w", target, err))
		}
	}
	return errors.Join(problems...)
}
