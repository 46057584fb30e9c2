package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/strategy"
)

const (
	// maxAsked bounds how many requests are under way at once.
	maxAsked = 16
	// pause is the time between two tries.
	pause = 500 * time.Millisecond
)

// Options are what a Prober may be built from; the zero value will do.
type Options struct {
	// HTTPClient makes the connections, by its Transport, the only part of it that is used; without one allocations are
	// asked past any proxy, on a connection for each request.
	HTTPClient *http.Client
	// Logger takes a line for every try that fails, at level debug; nothing is logged when it is nil.
	Logger *slog.Logger
	// Sleep waits between two tries, and returns early with an error when the context ends; in real time when nil.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Prober makes smoke checks. It is safe for concurrent use.
type Prober struct {
	client *http.Client
	logger *slog.Logger
	sleep  func(ctx context.Context, d time.Duration) error
}

// New builds a Prober.
func New(options Options) *Prober {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if options.HTTPClient != nil {
		client.Transport = options.HTTPClient.Transport
	}
	if client.Transport == nil {
		client.Transport = transport()
	}
	logger := slog.New(slog.DiscardHandler)
	if options.Logger != nil {
		logger = options.Logger.With("component", "probe")
	}
	sleep := options.Sleep
	if sleep == nil {
		sleep = wait
	}
	return &Prober{client: client, logger: logger, sleep: sleep}
}

// transport asks an allocation itself, past any proxy, and keeps no connection to one that will be gone.
func transport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxBody}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// question is one check asked of one endpoint.
type question struct {
	check    strategy.Smoke
	body     *regexp.Regexp // nil for any
	endpoint strategy.Endpoint
}

// Smoke makes every check on every endpoint, with the retries that each has. failed quotes the first answer that is not as
// expected, "" when all are. No checks, or no endpoints, are as expected. It blocks until every answer that matters is
// there, at most (retries + 1) times the timeout and the pauses for each round of requests; an error means that ctx ended
// before, or that a check is none.
func (p *Prober) Smoke(ctx context.Context, checks []strategy.Smoke, endpoints []strategy.Endpoint) (failed string, err error) {
	questions, err := questionsOf(checks, endpoints)
	if err != nil {
		return "", err
	}
	verdicts := newVerdicts(ctx, len(questions))
	defer verdicts.release()
	var asking errgroup.Group
	asking.SetLimit(maxAsked)
	for i, q := range questions {
		asking.Go(func() error {
			if own := verdicts.contexts[i]; own.Err() == nil {
				verdicts.put(i, p.ask(own, q))
			}
			return nil
		})
	}
	_ = asking.Wait() // the answers are in verdicts, in their order
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("make smoke checks: %w", err)
	}
	return verdicts.first(), nil
}

// questionsOf is every question in the order in which failures are quoted.
func questionsOf(checks []strategy.Smoke, endpoints []strategy.Endpoint) ([]question, error) {
	var all []question
	for _, check := range checks {
		var body *regexp.Regexp
		if check.Body != "" {
			var err error
			if body, err = regexp.Compile(check.Body); err != nil {
				return nil, fmt.Errorf("read the body of smoke check %q: %w", check.Name, err)
			}
		}
		for _, endpoint := range endpoints {
			all = append(all, question{check: check, body: body, endpoint: endpoint})
		}
	}
	return all, nil
}

// ask asks one question until it is answered as expected or its tries are used up. It returns the last answer that was
// not as expected, quoted.
func (p *Prober) ask(ctx context.Context, q question) string {
	for try := 0; ; try++ {
		wrong := p.try(ctx, q)
		if wrong == "" {
			return ""
		}
		p.logger.DebugContext(ctx, "smoke check failed", "check", q.check.Name, "alloc", q.endpoint.Alloc, "try", try+1, "answer", wrong)
		if try >= q.check.Retries || p.sleep(ctx, pause) != nil {
			return fmt.Sprintf("smoke check %q: canary %s %s", q.check.Name, short(q.endpoint.Alloc), wrong)
		}
	}
}

// try makes one request. It says what was wrong with the answer, "" for nothing.
func (p *Prober) try(ctx context.Context, q question) string {
	timeout := cmp.Or(q.check.Timeout, defaultTimeout)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+q.endpoint.Address+q.check.Path, nil)
	if err != nil {
		return fmt.Sprintf("cannot be asked GET %s: %s", harmless(q.check.Path), harmless(err.Error()))
	}
	request.Header.Set("User-Agent", "drover")
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Sprintf("did not answer GET %s: %s", harmless(q.check.Path), reason(err, timeout))
	}
	defer response.Body.Close()
	body, err := read(response.Body)
	if err != nil {
		return fmt.Sprintf("broke off its answer to GET %s: %s", harmless(q.check.Path), reason(err, timeout))
	}
	return q.judge(response, body)
}

// reason is why there was no answer, without the address and path, which are said already.
func reason(err error, timeout time.Duration) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("nothing within %s", timeout)
	}
	return harmless(innermost(err).Error())
}
