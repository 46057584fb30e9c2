package proxy

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how long a certificate is served before its files are looked at again.
const certificateAge = time.Second

// Certificate is a certificate in files that may be replaced while it is served. It is safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	logger            *slog.Logger
	now               func() time.Time

	mu     sync.Mutex
	loaded *tls.Certificate
	stamps [2]stamp // of the files that were tried last
	looked time.Time
}

// stamp tells versions of a file apart.
type stamp struct {
	changed time.Time
	size    int64
}

// LoadCertificate reads the files, which hold PEM. now is time.Now when nil.
func LoadCertificate(certFile, keyFile string, logger *slog.Logger, now func() time.Time) (*Certificate, error) {
	if now == nil {
		now = time.Now
	}
	c := &Certificate{certFile: certFile, keyFile: keyFile, logger: logger, now: now}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// get is the newest certificate that could be read.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < certificateAge {
		return c.loaded, nil
	}
	c.looked = now
	if err := c.load(); err != nil {
		c.logger.Error("the new certificate cannot be read; the old one is served on", "cert_file", c.certFile, "error", err)
	}
	return c.loaded, nil
}

// load reads the files when they have changed. A pair of which only one is new already is tried again when the other
// changes.
func (c *Certificate) load() error {
	var stamps [2]stamp
	for i, path := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		stamps[i] = stampOf(info)
	}
	if stamps == c.stamps {
		return nil
	}
	c.stamps = stamps
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the certificate of %s and %s: %w", c.certFile, c.keyFile, err)
	}
	c.loaded = &pair
	return nil
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.ModTime(), info.Size()} }
