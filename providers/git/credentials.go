package git

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/drover-dev/drover/strategy"
)

// ErrCredentials says that the remote rejects the token or the key, or that it could not be read. Whatever is read
// anew, by Config.ReadToken or from Config.SSHKeyFile, is read again at the next call.
var ErrCredentials = strategy.ErrDenied

// credentials are what is sent over http, and what must not be told. They are not safe for concurrent use.
type credentials struct {
	user     string
	password string
	read     func(context.Context) (string, error) // nil when the password is given
	secrets  []string                              // every password there was, in every form
}

// present reports whether there is anything to be kept from others.
func (c *credentials) present() bool { return c.password != "" || c.read != nil }

func (c *credentials) take(password string) {
	if c.password = password; password == "" {
		return
	}
	c.conceal(password, url.QueryEscape(password), url.PathEscape(password), base64.StdEncoding.EncodeToString([]byte(c.user+":"+password)))
}

// conceal has what is given redacted from now on.
func (c *credentials) conceal(secrets ...string) {
	for _, secret := range secrets {
		if secret != "" && !slices.Contains(c.secrets, secret) {
			c.secrets = append(c.secrets, secret)
		}
	}
}

// load sees to it that there is a password, where one is read.
func (c *credentials) load(ctx context.Context) error {
	if c.read == nil || c.password != "" {
		return nil
	}
	_, err := c.renew(ctx)
	return err
}

// renew reads the password again; it reports whether it is another one.
func (c *credentials) renew(ctx context.Context) (bool, error) {
	if c.read == nil {
		return false, nil
	}
	password, err := c.read(ctx)
	if err != nil {
		return false, fmt.Errorf("%w: read the token: %w", ErrCredentials, err)
	}
	if password = strings.TrimSpace(password); password == "" {
		return false, fmt.Errorf("%w: the token is empty: see to what writes it", ErrCredentials)
	}
	changed := password != c.password
	c.take(password)
	return changed, nil
}

// redact takes every password out of a text.
func (c *credentials) redact(text string) string {
	for _, secret := range c.secrets {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	return text
}

// hide is the error without passwords. Where it holds one the chain is given up, since every part of it could be
// printed; what it is can still be asked.
func (c *credentials) hide(err error) error {
	text := err.Error()
	shown := c.redact(text)
	if shown == text {
		return err
	}
	hidden := &hiddenError{text: shown}
	for _, kind := range []error{
		ErrCredentials, context.Canceled, context.DeadlineExceeded, transport.ErrAuthenticationRequired,
		transport.ErrAuthorizationFailed, transport.ErrRepositoryNotFound, transport.ErrEmptyRemoteRepository,
	} {
		if errors.Is(err, kind) {
			hidden.kinds = append(hidden.kinds, kind)
		}
	}
	return hidden
}

// hiddenError is an error that held a secret.
type hiddenError struct {
	text  string
	kinds []error
}

func (e *hiddenError) Error() string        { return e.text }
func (e *hiddenError) Is(target error) bool { return slices.Contains(e.kinds, target) }

// renewing makes a call once more when the remote rejects the credentials and there are others by now. A repository
// that is not there may be one that the old token does not see any more.
func renewing[T any](ctx context.Context, r *remote, call func() (T, error)) (T, error) {
	if err := r.credentials.load(ctx); err != nil {
		var none T
		return none, r.explain("connect for", r.branch, err)
	}
	result, err := call()
	if err == nil || !errors.Is(err, ErrCredentials) && !errors.Is(err, transport.ErrRepositoryNotFound) {
		return result, err
	}
	changed, unread := r.credentials.renew(ctx)
	switch {
	case unread != nil:
		return result, r.credentials.hide(fmt.Errorf("%w (and %s)", err, unread.Error()))
	case !changed:
		return result, err
	}
	return call()
}
