package git

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/crypto/ssh"
)

// maxKeyFile bounds what is taken for a private key, in bytes.
const maxKeyFile = 64 << 10

// identity is the private key that we show to ssh servers. The file is read for every connection, so that one that was
// replaced is taken up; it is opened, which is slow where there is a passphrase, only when it changed. It is not safe
// for concurrent use.
type identity struct {
	file       string
	passphrase string

	content []byte
	signer  ssh.Signer
}

// load is the key that the file holds now.
func (i *identity) load() (ssh.Signer, error) {
	content, err := i.read()
	if err != nil {
		return nil, fmt.Errorf("%w: ssh key: %w", ErrCredentials, err)
	}
	if i.signer != nil && bytes.Equal(content, i.content) {
		return i.signer, nil
	}
	signer, err := i.parse(content)
	if err != nil {
		return nil, fmt.Errorf("%w: ssh key %s: %w", ErrCredentials, i.file, err)
	}
	i.content, i.signer = content, signer
	return signer, nil
}

func (i *identity) read() ([]byte, error) {
	info, err := os.Stat(i.file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("find the file that git.ssh_key_file names: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file: set git.ssh_key_file to a private key", i.file)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s has mode %04o, so that others may read it: chmod 600 %s", i.file, info.Mode().Perm(), i.file)
	case info.Size() > maxKeyFile:
		return nil, fmt.Errorf("%s has %d bytes, which is no private key: set git.ssh_key_file to one", i.file, info.Size())
	}
	content, err := os.ReadFile(i.file)
	if err != nil {
		return nil, fmt.Errorf("read the file that git.ssh_key_file names: %w", err)
	}
	return content, nil
}

func (i *identity) parse(content []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(content)
	if missing := new(ssh.PassphraseMissingError); errors.As(err, &missing) {
		if i.passphrase == "" {
			return nil, errors.New("it is encrypted: give its passphrase in the environment, and name the variable in git.ssh_passphrase_env, or the file that holds it in git.ssh_passphrase_file")
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(content, []byte(i.passphrase))
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, errors.New("the passphrase does not open it: check what git.ssh_passphrase_env or git.ssh_passphrase_file names")
		}
	}
	if err == nil {
		return signer, nil
	}
	if _, _, _, _, public := ssh.ParseAuthorizedKey(content); public == nil {
		return nil, errors.New("it is the public half: name the private one, which has no .pub at its end")
	}
	if bytes.HasPrefix(content, []byte("PuTTY-User-Key-File")) {
		return nil, errors.New("it is in PuTTY's own form: convert it with puttygen -O private-openssh")
	}
	return nil, fmt.Errorf("it is no private key that can be read (%w): make one with ssh-keygen -t ed25519", err)
}

// public is the line that lets the key in at a server.
func public(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}
