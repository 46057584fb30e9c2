package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

const defaultSSHPort = "22"

// sshTransport speaks to git at an ssh server. Other than go-git's own it looks at the context all the way, the
// handshake included, and at nothing but what it was told: no agent, no ~/.ssh/config.
type sshTransport struct {
	address string // host:port
	user    string
	path    string
	key     *identity
	hosts   *hostKeys
}

// NewUploadPackSession connects when it is first asked for something; the endpoint is the one of the transport.
func (t *sshTransport) NewUploadPackSession(*transport.Endpoint, transport.AuthMethod) (transport.UploadPackSession, error) {
	return &sshSession{transport: t, service: transport.UploadPackServiceName}, nil
}

// NewReceivePackSession is like NewUploadPackSession, for a push.
func (t *sshTransport) NewReceivePackSession(*transport.Endpoint, transport.AuthMethod) (transport.ReceivePackSession, error) {
	return &sshSession{transport: t, service: transport.ReceivePackServiceName}, nil
}

// dial makes a connection that ends with the context, until stop.
func (t *sshTransport) dial(ctx context.Context) (client *ssh.Client, stop func() bool, err error) {
	signer, err := t.key.load()
	if err != nil {
		return nil, nil, err
	}
	db, err := t.hosts.load(t.address)
	if err != nil {
		return nil, nil, err
	}
	config := &ssh.ClientConfig{User: t.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyAlgorithms: algorithms(db, t.address)}
	check := db.HostKeyCallback()
	var refused error
	config.HostKeyCallback = func(host string, at net.Addr, key ssh.PublicKey) error {
		err := check(host, at, key)
		if err != nil {
			refused = t.hosts.refuse(t.address, key, err)
		}
		return err
	}
	client, stop, err = t.handshake(ctx, config)
	if mismatch := new(ssh.AlgorithmNegotiationError); errors.As(err, &mismatch) && len(config.HostKeyAlgorithms) > 0 {
		// Asked without the restriction it shows a key, which is not in the file either, but can be named.
		config.HostKeyAlgorithms = nil
		client, stop, err = t.handshake(ctx, config)
	}
	switch {
	case err == nil:
		return client, stop, nil
	case ctx.Err() != nil:
		return nil, nil, fmt.Errorf("connect to ssh host %s: %w", t.address, ctx.Err())
	case refused != nil:
		return nil, nil, refused
	case strings.Contains(err.Error(), "unable to authenticate"):
		return nil, nil, fmt.Errorf("%w: ssh host %s does not let user %q in with the key %s (%s): add its public half to those that may read and write the repository: %s", ErrCredentials, t.address, t.user, t.key.file, ssh.FingerprintSHA256(signer.PublicKey()), public(signer.PublicKey()))
	}
	return nil, nil, fmt.Errorf("connect to ssh host %s: %w", t.address, err)
}

func (t *sshTransport) handshake(ctx context.Context, config *ssh.ClientConfig) (*ssh.Client, func() bool, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	secured, channels, requests, err := ssh.NewClientConn(conn, t.address, config)
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, nil, err
	}
	return ssh.NewClient(secured, channels, requests), stop, nil
}

// sshSession is one run of a git program at the other end. It is not safe for concurrent use.
type sshSession struct {
	transport *sshTransport
	service   string

	client  *ssh.Client
	stop    func() bool // has the context no longer end the connection
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	words   progress // what it said besides; read only when it has ended
	refs    *packp.AdvRefs
	asked   bool
}

// quote makes one word of a text, for whatever shell is there.
var quote = strings.NewReplacer("'", `'\''`, "!", `'\!'`)

func (s *sshSession) start(ctx context.Context) error {
	var err error
	if s.client, s.stop, err = s.transport.dial(ctx); err != nil {
		return err
	}
	if s.session, err = s.client.NewSession(); err != nil {
		return s.fault(ctx, fmt.Errorf("open a session: %w", err))
	}
	s.session.Stderr = &s.words
	if s.in, err = s.session.StdinPipe(); err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	out, err := s.session.StdoutPipe()
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	s.out = &endingReader{ctx: ctx, from: out}
	if err := s.session.Start(s.service + " '" + quote.Replace(s.transport.path) + "'"); err != nil {
		return s.fault(ctx, fmt.Errorf("start %s: %w", s.service, err))
	}
	return nil
}

// AdvertisedReferences is there for go-git's interface; nothing calls it.
func (s *sshSession) AdvertisedReferences() (*packp.AdvRefs, error) {
	return s.AdvertisedReferencesContext(context.Background())
}

// AdvertisedReferencesContext connects, and is what the remote has.
func (s *sshSession) AdvertisedReferencesContext(ctx context.Context) (*packp.AdvRefs, error) {
	if s.refs != nil {
		return s.refs, nil
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	refs := packp.NewAdvRefs()
	err := refs.Decode(s.out)
	reading := s.service == transport.UploadPackServiceName
	switch {
	case errors.Is(err, packp.ErrEmptyInput):
		return nil, s.fault(ctx, fmt.Errorf("it ended without an answer: %w", err))
	case errors.Is(err, packp.ErrEmptyAdvRefs) && !reading:
	case err != nil && !errors.Is(err, packp.ErrEmptyAdvRefs):
		return nil, s.fault(ctx, err)
	case reading && (err != nil || refs.IsEmpty()):
		return nil, transport.ErrEmptyRemoteRepository
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities)
	s.refs = refs
	return refs, nil
}

// UploadPack asks for objects. The answer is read while the context lasts.
func (s *sshSession) UploadPack(ctx context.Context, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	if err := request.Validate(); err != nil {
		return nil, err
	}
	s.asked = true
	for _, send := range []func() error{
		func() error { return request.UploadRequest.Encode(s.in) },
		func() error { return request.UploadHaves.Encode(s.in, true) },
		func() error { return pktline.NewEncoder(s.in).EncodeString("done\n") },
		s.in.Close,
	} {
		if err := send(); err != nil {
			return nil, s.fault(ctx, fmt.Errorf("ask for objects: %w", err))
		}
	}
	response := packp.NewUploadPackResponse(request)
	if err := response.Decode(io.NopCloser(s.out)); err != nil {
		return nil, s.fault(ctx, fmt.Errorf("read objects: %w", err))
	}
	return response, nil
}

// ReceivePack pushes. A report and an error say that the remote declined.
func (s *sshSession) ReceivePack(ctx context.Context, request *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	s.asked = true
	if err := request.Encode(s.in); err != nil {
		return nil, s.fault(ctx, fmt.Errorf("send the commit: %w", err))
	}
	if err := s.in.Close(); err != nil {
		return nil, s.fault(ctx, fmt.Errorf("send the commit: %w", err))
	}
	if !request.Capabilities.Supports(capability.ReportStatus) {
		return nil, errors.New("the remote is too old to say what became of a push")
	}
	reader := demultiplex(request.Capabilities, s.out, request.Progress)
	report := packp.NewReportStatus()
	if err := report.Decode(reader); err != nil {
		return nil, s.fault(ctx, fmt.Errorf("read what became of the push: %w", err))
	}
	return report, report.Error()
}

// Close ends the program at the other end, and the connection.
func (s *sshSession) Close() error {
	if s.client == nil {
		return nil
	}
	if !s.asked && s.in != nil {
		_, _ = s.in.Write(pktline.FlushPkt) // says good-bye: otherwise it complains in the log of the server
		_ = s.in.Close()
	}
	s.stop()
	if err := s.client.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		return fmt.Errorf("close the connection to ssh host %s: %w", s.transport.address, err)
	}
	return nil
}

// endingReader fails with the context, where a connection that the context closed merely ends.
type endingReader struct {
	ctx  context.Context
	from io.Reader
}

func (r *endingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && r.ctx.Err() != nil {
		err = r.ctx.Err()
	}
	return n, err
}

// fault ends the session and says what went wrong in the words of the remote, where it has any.
func (s *sshSession) fault(ctx context.Context, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, packp.ErrEmptyInput) {
		_ = s.client.Close() // otherwise it has ended or is about to, and may be saying why
	}
	if s.session != nil {
		_ = s.session.Wait() // nothing is written to words after that; the context ends it
	}
	_ = s.client.Close()
	if ctx.Err() != nil {
		return fmt.Errorf("%s at ssh host %s: %w", s.service, s.transport.address, ctx.Err())
	}
	said := s.words.String()
	if kind := meaning(said + " " + err.Error()); kind != nil {
		err = fmt.Errorf("%w: %w", kind, err)
	}
	if said != "" {
		err = fmt.Errorf("%w: the remote says: %s", err, said)
	}
	return fmt.Errorf("%s at ssh host %s: %w", s.service, s.transport.address, err)
}

// meaning is what the words of the servers that are known come to; nil when they are others.
func meaning(words string) error {
	words = strings.ToLower(words)
	says := func(sign string) bool { return strings.Contains(words, sign) }
	switch {
	case slices.ContainsFunc([]string{
		"repository not found", "does not appear to be a git repository", "not a git repository", "no such repository",
		"cannot find repository", "could not be found", "does not exist",
	}, says):
		return transport.ErrRepositoryNotFound
	case slices.ContainsFunc([]string{
		"read only", "read-only", "permission", "denied", "not allowed", "unauthorized", "not authorized", "forbidden",
		"does not have write access",
	}, says):
		return transport.ErrAuthorizationFailed
	}
	return nil
}
