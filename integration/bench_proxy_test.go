package integration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/drover-dev/drover/providers/nomad"
	"github.com/drover-dev/drover/strategy"
)

// The load that the proxies are given by wrk.
const (
	loadSeconds     = 8
	loadConnections = 64
	bodySize        = 1 << 10
)

// BenchmarkProxy gives the same load by wrk to drover proxy and to NGINX as a proxy, before one and the same server, on
// the same machine. Beside requests a second it reports what the proxy itself took: CPU time a request, with all its
// processes, which says more where wrk, the proxy and the server share few cores.
func BenchmarkProxy(b *testing.B) {
	origin := freeAddress(b)
	startProgram(b, origin, nginx(b, fmt.Sprintf(`
  server {
    listen %s;
    location / { default_type text/plain; return 200 %q; }
  }`, origin, strings.Repeat("x", bodySize))))
	b.Run("origin", func(b *testing.B) { reportLoad(b, origin, nil) })
	b.Run("nginx", func(b *testing.B) {
		edge := freeAddress(b)
		p := startProgram(b, edge, nginx(b, fmt.Sprintf(`
  upstream service {
    server %s;
    keepalive 256;
    keepalive_requests 1000000;
  }
  server {
    listen %s;
    location / {
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }`, origin, edge)))
		reportLoad(b, edge, p)
	})
	// What Go's own reverse proxy takes, with a pool of connections as large and nothing else: Drover cannot take less while
	// it keeps to that.
	b.Run("net-http", func(b *testing.B) {
		edge := freeAddress(b)
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), bareProxy+"="+edge+" "+origin)
		reportLoad(b, edge, startProgram(b, edge, command))
	})
	b.Run("drover", func(b *testing.B) {
		edge, admin := freeAddress(b), freeAddress(b)
		const name = "bench-proxy"
		config := writeConfig(b, b.TempDir(), name, agent.Address, edge, admin)
		err := nomad.NewSplits(agent.Client(), name, "default").Publish(context.Background(), "edge", strategy.Split{
			Release: name, Weight: strategy.Percent(25),
			Stable: []strategy.Endpoint{{Alloc: "stable", Address: origin}}, Canary: []strategy.Endpoint{{Alloc: "canary", Address: origin}},
		})
		if err != nil {
			b.Fatalf("publish a split: %v", err)
		}
		p := startProgram(b, edge, exec.Command(drover, "proxy", "-config", config))
		reportLoad(b, edge, p)
	})
}

// bareProxy in the environment makes this program a reverse proxy and nothing else: where it listens, and what it asks.
const bareProxy = "DROVER_BARE_PROXY"

// serveBareProxy is that program.
func serveBareProxy(addresses string) int {
	debug.SetGCPercent(400) // As drover proxy does.
	edge, origin, _ := strings.Cut(addresses, " ")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: origin})
	proxy.Transport = &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256, DisableCompression: true}
	server := &http.Server{Addr: edge, Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// BenchmarkTakeAway measures the time from the moment a split with weight 0 is published until the last request that the
// canary gets, with drover proxy as a process of its own that follows Nomad's Variables. Drover publishes that split in
// the pass that comes to the verdict, before it stores anything.
func BenchmarkTakeAway(b *testing.B) {
	const name, rounds = "bench-take-away", 20
	var last atomic.Int64 // when the canary was asked last
	stable := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer stable.Close()
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { last.Store(time.Now().UnixNano()) }))
	defer canary.Close()
	split := strategy.Split{
		Release: name,
		Stable:  []strategy.Endpoint{{Alloc: "stable", Address: strings.TrimPrefix(stable.URL, "http://")}},
		Canary:  []strategy.Endpoint{{Alloc: "canary", Address: strings.TrimPrefix(canary.URL, "http://")}},
	}
	splits := nomad.NewSplits(agent.Client(), name, "default")
	publish := func(weight strategy.Weight) time.Time {
		began := time.Now()
		split.Weight = weight
		if err := splits.Publish(context.Background(), "edge", split); err != nil {
			b.Fatalf("publish a split: %v", err)
		}
		return began
	}
	edge, admin := freeAddress(b), freeAddress(b)
	publish(strategy.Percent(50))
	startProgram(b, edge, exec.Command(drover, "proxy", "-config", writeConfig(b, b.TempDir(), name, agent.Address, edge, admin)))
	ctx, cancel := context.WithCancel(context.Background())
	var users sync.WaitGroup
	defer users.Wait()
	defer cancel()
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for range 4 {
		users.Go(func() {
			for ctx.Err() == nil {
				if response, err := client.Get("http://" + edge + "/"); err == nil {
					_ = response.Body.Close()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	var sum, longest time.Duration
	for range rounds {
		publish(strategy.Percent(50))
		for began := time.Now(); last.Load() < began.UnixNano(); time.Sleep(time.Millisecond) {
			if time.Since(began) > patience {
				b.Fatal("the canary gets no requests")
			}
		}
		began := publish(0)
		for time.Since(time.Unix(0, max(last.Load(), began.UnixNano()))) < 500*time.Millisecond {
			time.Sleep(10 * time.Millisecond)
		}
		took := max(0, time.Unix(0, last.Load()).Sub(began))
		sum, longest = sum+took, max(longest, took)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(sum.Microseconds())/1000/rounds, "ms-mean")
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-max")
}

// nginx is NGINX with the given servers, and everything it writes in a directory of its own.
func nginx(b *testing.B, servers string) *exec.Cmd {
	b.Helper()
	dir := b.TempDir()
	var temps strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temps, "  %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	conf := fmt.Sprintf(`worker_processes auto;
daemon off;
pid %s;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000;
%s%s
}
`, filepath.Join(dir, "pid"), temps.String(), servers)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	return exec.Command("nginx", "-c", path, "-e", filepath.Join(dir, "error.log"))
}

// program is a server under load.
type program struct {
	command *exec.Cmd
	said    *bytes.Buffer
	stopped bool
}

// startProgram starts a server and waits until a page of it, host:port/path, is there. It is stopped when the benchmark ends.
func startProgram(b *testing.B, page string, command *exec.Cmd) *program {
	b.Helper()
	p := &program{command: command, said: &bytes.Buffer{}}
	command.Stdout, command.Stderr = p.said, p.said
	if err := command.Start(); err != nil {
		b.Fatalf("start %s (make bench installs it): %v", command.Path, err)
	}
	b.Cleanup(p.stop)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + page)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Now().After(deadline) {
			p.stop()
			b.Fatalf("%s does not answer on %s: %v\n%s", command.Path, page, err, p.said)
		}
	}
}

// stop ends the program; its processes have been waited for then.
func (p *program) stop() {
	if p.stopped {
		return
	}
	p.stopped = true
	_ = p.command.Process.Signal(syscall.SIGTERM)
	_ = p.command.Wait() // NGINX and Drover exit with 0; another code would have shown in what was measured.
}

var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkTotal  = regexp.MustCompile(`(\d+) requests in`)
	wrkMedian = regexp.MustCompile(`50%\s+([0-9.]+[a-z]+)`)
	wrkTail   = regexp.MustCompile(`99%\s+([0-9.]+[a-z]+)`)
	wrkFailed = regexp.MustCompile(`(?m)^\s*(Non-2xx or 3xx responses|Socket errors): .*$`)
)

// reportLoad runs wrk against an address, and reports what it saw and what the program took for it.
func reportLoad(b *testing.B, address string, p *program) {
	b.Helper()
	var rate, total, median, tail float64
	for range b.N {
		out, err := exec.Command("wrk", "--latency", "-t", "1", "-c", strconv.Itoa(loadConnections), "-d", fmt.Sprintf("%ds", loadSeconds), "http://"+address+"/").CombinedOutput()
		if err != nil {
			b.Fatalf("run wrk (make bench installs it): %v\n%s", err, out)
		}
		if failed := wrkFailed.Find(out); failed != nil {
			b.Fatalf("requests failed: %s", failed)
		}
		rate += number(b, wrkRate, out) / float64(b.N)
		total += number(b, wrkTotal, out)
		median += millis(b, wrkMedian, out) / float64(b.N)
		tail += millis(b, wrkTail, out) / float64(b.N)
	}
	b.ReportMetric(0, "ns/op") // It is the length of the run.
	b.ReportMetric(rate, "req/s")
	b.ReportMetric(median, "ms-p50")
	b.ReportMetric(tail, "ms-p99")
	if p != nil {
		p.stop()
		used := p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
		b.ReportMetric(float64(used.Microseconds())/total, "cpu-µs/req")
	}
}

func number(b *testing.B, pattern *regexp.Regexp, out []byte) float64 {
	b.Helper()
	found := pattern.FindSubmatch(out)
	if found == nil {
		b.Fatalf("wrk does not say %s:\n%s", pattern, out)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatalf("wrk says %s: %v", found[0], err)
	}
	return value
}

func millis(b *testing.B, pattern *regexp.Regexp, out []byte) float64 {
	b.Helper()
	found := pattern.FindSubmatch(out)
	if found == nil {
		b.Fatalf("wrk does not say %s:\n%s", pattern, out)
	}
	value, err := time.ParseDuration(string(found[1]))
	if err != nil {
		b.Fatalf("wrk says %s: %v", found[0], err)
	}
	return float64(value.Microseconds()) / 1000
}
