package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// grace is how long requests under way may take to end when the proxy shuts down.
const grace = 10 * time.Second

// Serve answers users on a listener until ctx is done. They may speak HTTP/1.1 or HTTP/2: over TLS when there is a
// certificate, which is not nil then, else in the clear, HTTP/2 with prior knowledge (h2c).
//
// In the end it takes no more requests, closes WebSockets with status 1001, waits for requests under way, cuts those
// that take longer than ten seconds, and returns nil. An error is that of the listener.
func (p *Proxy) Serve(ctx context.Context, listener net.Listener, certificate *Certificate) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(certificate == nil)
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: grace, Protocols: protocols,
		ErrorLog: slog.NewLogLogger(p.options.Logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() {
		if certificate == nil {
			served <- server.Serve(listener)
			return
		}
		server.TLSConfig = &tls.Config{GetCertificate: certificate.get, MinVersion: tls.VersionTLS12}
		served <- server.ServeTLS(listener, "", "")
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serve users on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	parted := make(chan struct{})
	go func() {
		defer close(parted)
		p.sockets.end(ending)
	}()
	err := server.Shutdown(ending)
	if err != nil {
		p.options.Logger.Warn("requests under way were cut", "after", grace)
		_ = server.Close()
	}
	<-parted
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve users on %s: %w", listener.Addr(), err)
	}
	return nil
}
