package proxy

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// The defaults of a check.
const (
	checkInterval = 3 * time.Second
	checkTimeout  = 2 * time.Second
)

// runCheck checks a backend at the check's interval until ctx ends, from now on. A backend that nobody checks is not
// sick.
func runCheck(ctx context.Context, b *backend, check strategy.Check) {
	defer b.sick.Store(false)
	interval := cmp.Or(max(check.Interval, 0), checkInterval)
	timeout := cmp.Or(max(check.Timeout, 0), checkTimeout)
	client := newCheckClient()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, timeout)
		err := checkOnce(bounded, client, b.endpoint.Address, check)
		cancel()
		if ctx.Err() != nil {
			return
		}
		b.sick.Store(err != nil)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// newCheckClient connects anew each time, as connecting is part of what is checked.
func newCheckClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkOnce is nil when the address is healthy: it answers with a status below 400, or for a tcp check accepts a
// connection.
func checkOnce(ctx context.Context, client *http.Client, address string, check strategy.Check) error {
	if check.Type == "tcp" {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("check by connecting: %w", err)
		}
		return connection.Close()
	}
	url := "http://" + address + "/" + strings.TrimPrefix(check.Path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("check %s: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("check %s: %w", url, err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("check %s: status %s", url, response.Status)
	}
	return nil
}
