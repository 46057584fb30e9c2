package git

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	known "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys is the file of the ssh hosts that are trusted. It is read for every connection. It is never written to: no
// host is trusted because it was met.
type hostKeys struct {
	file string
}

// load reads the file.
func (h *hostKeys) load(address string) (*knownhosts.HostKeyDB, error) {
	db, err := knownhosts.NewDB(h.file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("there is no file of known ssh hosts at %s: make it with %s, compare the fingerprints with those that the host publishes, or set git.known_hosts_file: %w", h.file, scan(address, h.file), err)
	case err != nil:
		return nil, fmt.Errorf("read the known ssh hosts of %s: %w", h.file, err)
	}
	return db, nil
}

// scan is the command that adds the keys of a host to the file.
func scan(address, file string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == defaultSSHPort {
		return fmt.Sprintf("ssh-keyscan %s >> %s", host, file)
	}
	return fmt.Sprintf("ssh-keyscan -p %s %s >> %s", port, host, file)
}

// algorithms are those that the host may prove itself with: of the types that the file has for it, since a server
// picks one of those it is offered, and what it picks must be in the file. None says that the host is not known.
func algorithms(db *knownhosts.HostKeyDB, address string) []string {
	sound := ssh.SupportedAlgorithms().HostKeys
	return slices.DeleteFunc(db.HostKeyAlgorithms(address), func(name string) bool { return !slices.Contains(sound, name) })
}

// refuse says why a host key was not accepted, and what to do.
func (h *hostKeys) refuse(address string, key ssh.PublicKey, err error) error {
	offered := fmt.Sprintf("%s %s", key.Type(), ssh.FingerprintSHA256(key))
	line := known.Line([]string{address}, key)
	if revoked := new(known.RevokedError); errors.As(err, &revoked) {
		return fmt.Errorf("ssh host %s shows the key %s, which %s:%d revokes: ask its owner for what has come in its place", address, offered, revoked.Revoked.Filename, revoked.Revoked.Line)
	}
	unfit := new(known.KeyError)
	if !errors.As(err, &unfit) {
		return fmt.Errorf("ssh host %s shows the key %s, which is refused: %w", address, offered, err)
	}
	if len(unfit.Want) == 0 {
		return fmt.Errorf("ssh host %s is not known: it shows the key %s; when that is what the host publishes, add this line to %s: %s", address, offered, h.file, line)
	}
	var want []string
	for _, k := range unfit.Want {
		want = append(want, fmt.Sprintf("%s %s of %s:%d", k.Key.Type(), ssh.FingerprintSHA256(k.Key), k.Filename, k.Line))
	}
	return fmt.Errorf("ssh host %s shows the key %s, not %s: somebody may be in between; only when the host publishes that its key changed, put this line in the place of the old one: %s", address, offered, strings.Join(want, ", "), line)
}
