package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/file"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// maxPack bounds what one fetch may bring, in bytes.
const maxPack = 1 << 30

// maxRedirects is what a request may go through; it matches the one of net/http.
const maxRedirects = 10

// remote speaks to the repository that is followed. It is not safe for concurrent use.
type remote struct {
	at          address
	branch      plumbing.ReferenceName
	credentials *credentials
	client      transport.Transport
	idle        func()
	log         *slog.Logger
	moved       string // where it was said to have moved to, so that it is logged once
}

func newRemote(config Config, at address, held *credentials, log *slog.Logger) *remote {
	r := &remote{
		at: at, branch: plumbing.NewBranchReferenceName(config.Branch), credentials: held,
		client: file.DefaultClient, idle: func() {}, log: log,
	}
	switch at.scheme {
	case "file":
		return r
	case "ssh":
		r.client = &sshTransport{
			address: at.host, user: held.user, path: at.path,
			key: &identity{file: config.SSHKeyFile, passphrase: config.SSHPassphrase}, hosts: &hostKeys{file: config.SSHKnownHosts},
		}
		return r
	}
	web := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 2}
	r.client = githttp.NewClient(&http.Client{Transport: web, CheckRedirect: r.redirect})
	r.idle = web.CloseIdleConnections
	return r
}

// redirect keeps credentials where they were meant to go.
func (r *remote) redirect(to *http.Request, via []*http.Request) error {
	target := &url.URL{Scheme: to.URL.Scheme, Host: to.URL.Host, Path: strings.TrimSuffix(to.URL.Path, "/info/refs")}
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("the remote redirects more than %d times: set git.url to where it is", maxRedirects)
	case r.at.scheme == "https" && to.URL.Scheme != "https":
		return errors.New("the remote redirects from https to http: refused")
	case r.credentials.present() && to.URL.Host != r.at.url.Host:
		return fmt.Errorf("the remote redirects to host %q, which the token is not for: set git.url to the new address, %s", to.URL.Host, target)
	}
	if permanent := to.Response != nil && (to.Response.StatusCode == http.StatusMovedPermanently || to.Response.StatusCode == http.StatusPermanentRedirect); permanent && r.moved != target.String() {
		r.moved = target.String()
		r.log.Warn("repository moved, set git.url to the new address", "from", r.at.String(), "to", r.credentials.redact(r.moved))
	}
	return nil
}

// endpoint is made anew for every connection, since a redirect alters it.
func (r *remote) endpoint() (*transport.Endpoint, transport.AuthMethod, error) {
	if r.at.scheme != "http" && r.at.scheme != "https" {
		return &transport.Endpoint{Protocol: r.at.scheme, Path: r.at.path}, nil, nil
	}
	ep, err := transport.NewEndpoint(r.at.url.String())
	if err != nil || r.credentials.password == "" {
		return ep, nil, err
	}
	return ep, &githttp.BasicAuth{Username: r.credentials.user, Password: r.credentials.password}, nil
}

// tip asks the remote where the branch is.
func (r *remote) tip(ctx context.Context) (plumbing.Hash, error) {
	return renewing(ctx, r, func() (tip plumbing.Hash, err error) {
		err = r.ask(ctx, r.branch, func(refs *packp.AdvRefs, _ transport.UploadPackSession) error {
			tip, err = r.find(refs)
			return err
		})
		return tip, err
	})
}

// position asks the remote where a ref is; zero when it is not there.
func (r *remote) position(ctx context.Context, name plumbing.ReferenceName) (plumbing.Hash, error) {
	return renewing(ctx, r, func() (at plumbing.Hash, err error) {
		err = r.ask(ctx, name, func(refs *packp.AdvRefs, _ transport.UploadPackSession) error {
			at = refs.References[name.String()]
			return nil
		})
		return at, err
	})
}

// ask connects to read a ref; with has what the remote says it has.
func (r *remote) ask(ctx context.Context, name plumbing.ReferenceName, with func(*packp.AdvRefs, transport.UploadPackSession) error) error {
	ep, auth, err := r.endpoint()
	if err != nil {
		return r.explain("read", name, err)
	}
	exchange, err := r.client.NewUploadPackSession(ep, auth)
	if err != nil {
		return r.explain("read", name, err)
	}
	defer func() { _ = exchange.Close() }()
	refs, err := exchange.AdvertisedReferencesContext(ctx)
	if err != nil {
		return r.explain("read", name, err)
	}
	return with(refs, exchange)
}

// fetch brings what the branch has and haves do not lead to, and returns where the branch is.
func (r *remote) fetch(ctx context.Context, into storer.Storer, haves []plumbing.Hash) (plumbing.Hash, error) {
	return renewing(ctx, r, func() (tip plumbing.Hash, err error) {
		err = r.ask(ctx, r.branch, func(refs *packp.AdvRefs, exchange transport.UploadPackSession) error {
			if tip, err = r.find(refs); err != nil || slices.Contains(haves, tip) {
				return err
			}
			return r.download(ctx, exchange, refs, r.branch, tip, haves, func(pack io.Reader) error {
				return packfile.UpdateObjectStorage(into, &bounded{from: pack, left: maxPack, limit: maxPack})
			})
		})
		return tip, err
	})
}

// fetchRef gives take a pack of what a ref has and haves do not lead to, unless the commit is known, and returns where
// the ref is.
func (r *remote) fetchRef(ctx context.Context, name plumbing.ReferenceName, haves []plumbing.Hash, known func(plumbing.Hash) bool, take func(pack io.Reader) error) (plumbing.Hash, error) {
	return renewing(ctx, r, func() (tip plumbing.Hash, err error) {
		err = r.ask(ctx, name, func(refs *packp.AdvRefs, exchange transport.UploadPackSession) error {
			tip = refs.References[name.String()]
			switch {
			case tip.IsZero():
				return fmt.Errorf("%s has no %s: %w", r.at, name, ErrNoRef)
			case known(tip):
				return nil
			}
			return r.download(ctx, exchange, refs, name, tip, haves, take)
		})
		return tip, err
	})
}

// download asks for one commit, and all that haves do not lead to.
func (r *remote) download(ctx context.Context, exchange transport.UploadPackSession, refs *packp.AdvRefs, name plumbing.ReferenceName, tip plumbing.Hash, haves []plumbing.Hash, take func(pack io.Reader) error) error {
	request := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	if refs.Capabilities.Supports(capability.NoProgress) {
		if err := request.Capabilities.Set(capability.NoProgress); err != nil {
			return r.explain("fetch", name, err)
		}
	}
	request.Wants, request.Haves = []plumbing.Hash{tip}, haves
	response, err := exchange.UploadPack(ctx, request)
	if err != nil {
		return r.explain("fetch", name, err)
	}
	defer func() { _ = response.Close() }()
	if err := take(demultiplex(request.Capabilities, response, nil)); err != nil {
		return r.explain("fetch", name, err)
	}
	return nil
}

// demultiplex parts what a remote sends from what it says, when they come together.
func demultiplex(agreed *capability.List, from io.Reader, words sideband.Progress) io.Reader {
	kind := sideband.Sideband64k
	switch {
	case agreed.Supports(capability.Sideband64k):
	case agreed.Supports(capability.Sideband):
		kind = sideband.Sideband
	default:
		return from
	}
	demuxer := sideband.NewDemuxer(kind, from)
	demuxer.Progress = words
	return demuxer
}

// answer is what a remote said to a push.
type answer struct {
	status string // why not, in the remote's word for it; "" when it was done
	words  string // what it said besides, for people
}

// push asks the remote to move a branch from old, zero to make it, to tip, giving it the objects named. An error that
// is not nil says that there was no answer.
func (r *remote) push(ctx context.Context, name plumbing.ReferenceName, from storer.EncodedObjectStorer, objects []plumbing.Hash, old, tip plumbing.Hash) (answer, error) {
	return renewing(ctx, r, func() (answer, error) { return r.upload(ctx, name, from, objects, old, tip) })
}

func (r *remote) upload(ctx context.Context, name plumbing.ReferenceName, from storer.EncodedObjectStorer, objects []plumbing.Hash, old, tip plumbing.Hash) (answer, error) {
	ep, auth, err := r.endpoint()
	if err != nil {
		return answer{}, r.explain("push to", name, err)
	}
	exchange, err := r.client.NewReceivePackSession(ep, auth)
	if err != nil {
		return answer{}, r.explain("push to", name, err)
	}
	defer func() { _ = exchange.Close() }()
	refs, err := exchange.AdvertisedReferencesContext(ctx)
	if err != nil {
		return answer{}, r.explain("push to", name, err)
	}
	if refused, err := r.mayMove(refs, name, old); err != nil || refused != "" {
		return answer{status: refused}, err
	}
	var pack bytes.Buffer
	if _, err := packfile.NewEncoder(&pack, from, false).Encode(objects, 0); err != nil {
		return answer{}, fmt.Errorf("pack the commit: %w", err)
	}
	said := &progress{}
	request := packp.NewReferenceUpdateRequestFromCapabilities(refs.Capabilities)
	request.Commands = []*packp.Command{{Name: name, Old: old, New: tip}}
	request.Packfile, request.Progress = io.NopCloser(&pack), said
	for _, band := range []capability.Capability{capability.Sideband64k, capability.Sideband} {
		if refs.Capabilities.Supports(band) {
			if err := request.Capabilities.Set(band); err != nil {
				return answer{}, r.explain("push to", name, err)
			}
			break
		}
	}
	report, err := exchange.ReceivePack(ctx, request)
	if report != nil && report.Error() != nil {
		return answer{status: r.credentials.redact(report.Error().Error()), words: r.credentials.redact(said.String())}, nil
	}
	if err != nil {
		return answer{words: r.credentials.redact(said.String())}, r.explain("push to", name, err)
	}
	if report == nil {
		return answer{}, errors.New("push to branch: the remote did not say what became of it")
	}
	return answer{}, nil
}

// mayMove says why the remote's refs do not let a branch move from old; "" when they do.
func (r *remote) mayMove(refs *packp.AdvRefs, name plumbing.ReferenceName, old plumbing.Hash) (refused string, err error) {
	at := refs.References[name.String()]
	if at.IsZero() && name == r.branch {
		_, err := r.find(refs)
		return "", err
	}
	if at != old {
		return "the branch is elsewhere", nil
	}
	if other := inTheWay(refs, name); other != "" {
		return fmt.Sprintf("branch %q is in the way: a name cannot be a branch and a folder of branches", other), nil
	}
	return "", nil
}

// inTheWay is a branch that keeps git from making one of this name.
func inTheWay(refs *packp.AdvRefs, name plumbing.ReferenceName) string {
	for other := range refs.References {
		if strings.HasPrefix(other, name.String()+"/") || strings.HasPrefix(name.String(), other+"/") {
			return plumbing.ReferenceName(other).Short()
		}
	}
	return ""
}

// find is where the branch is in an advertisement.
func (r *remote) find(refs *packp.AdvRefs) (plumbing.Hash, error) {
	if tip, ok := refs.References[r.branch.String()]; ok {
		return tip, nil
	}
	var names []string
	for name := range refs.References {
		if ref := plumbing.ReferenceName(name); ref.IsBranch() {
			names = append(names, ref.Short())
		}
	}
	if len(names) == 0 {
		return plumbing.ZeroHash, r.empty()
	}
	slices.Sort(names)
	more := ""
	if len(names) > 5 {
		names, more = names[:5], ", …"
	}
	return plumbing.ZeroHash, fmt.Errorf("%s has no branch %q (it has %s%s): set git.branch, or push the branch", r.at, r.branch.Short(), strings.Join(names, ", "), more)
}

func (r *remote) empty() error {
	return fmt.Errorf("%s is an empty repository: commit to branch %q and push it: %w", r.at, r.branch.Short(), transport.ErrEmptyRemoteRepository)
}

// explain says what was attempted where, and what to do about it.
func (r *remote) explain(act string, name plumbing.ReferenceName, err error) error {
	where := fmt.Sprintf("%s %s of %s", act, name, r.at)
	if name.IsBranch() {
		where = fmt.Sprintf("%s branch %q of %s", act, name.Short(), r.at)
	}
	means := "token"
	if r.at.scheme == "ssh" {
		means = "key"
	}
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return r.empty()
	case errors.Is(err, exec.ErrNotFound):
		err = fmt.Errorf("%s: a repository on this machine is read by the git program, which is not on PATH: install git, or use an https address: %w", where, err)
	case errors.Is(err, ErrCredentials):
		err = fmt.Errorf("%s: %w", where, err)
	case errors.Is(err, transport.ErrAuthenticationRequired):
		err = fmt.Errorf("%s: %w or missing: check the token: %w", where, ErrCredentials, err)
	case errors.Is(err, transport.ErrAuthorizationFailed):
		err = fmt.Errorf("%s: %w: the %s is not allowed to do this: check its permissions: %w", where, ErrCredentials, means, err)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		err = fmt.Errorf("%s: there is no repository, or the %s may not see it: check git.url: %w", where, means, err)
	default:
		err = fmt.Errorf("%s: %w", where, err)
	}
	return r.credentials.hide(err)
}

// bounded fails, where io.LimitedReader ends, so that half a pack is not taken for one.
type bounded struct {
	from        io.Reader
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%w: the remote sends more than %d MiB: use a repository for releases alone", ErrTooLarge, b.limit>>20)
	}
	return n, err
}
