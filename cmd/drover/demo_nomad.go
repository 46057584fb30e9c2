package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/drover-dev/drover/providers/nomad/nomadagent"
	"github.com/drover-dev/drover/reconcile"
)

const (
	realRPS  = 300
	realBake = "8s"
)

// realStage plays on a Nomad agent of its own: drover proxy runs as a job on it, and users ask the proxy over HTTP.
func realStage(ctx context.Context, dir, nomadBinary, service string, logger *slog.Logger) (*stage, error) {
	service, err := filepath.Abs(service)
	if err != nil {
		return nil, err
	}
	agent, err := nomadagent.Start(ctx, filepath.Join(dir, "nomad"), nomadBinary)
	if err != nil {
		return nil, err
	}
	users := &users{versions: map[string]float64{}, client: &http.Client{Timeout: 10 * time.Second}}
	s := &stage{
		about: fmt.Sprintf("a real Nomad agent at %s, drover proxy as a job on it, and %d real requests/s.", agent.Address, realRPS),
		policy: func(text string) string {
			// Minutes would be too long to watch: shorter bakes, heavier weights, and a margin to pass that as many requests can
			// show as come in them.
			return strings.NewReplacer(
				`bake    = "5m"`, `bake    = "`+realBake+`"`, `min    = 500`, `min    = 100`, `"5%", "25%", "50%", "100%"`, `"20%", "50%", "100%"`,
				`max_vs_stable = "1.5x"`, `max_vs_stable = "1.5x"`+"\n    promote_vs_stable = \"2x+2pp\"",
			).Replace(text)
		},
		step:     func(ctx context.Context) (time.Time, error) { return time.Now(), pause(ctx, 250*time.Millisecond) },
		answered: users.answered,
		every:    4 * time.Second, patience: 3 * time.Minute,
		stop: func() error { users.stop(); return agent.Stop() },
	}
	s.options = func(repository string) (reconcile.Options, error) {
		path, listen, err := writeDemoConfig(dir, agent.Address, repository)
		if err != nil {
			return reconcile.Options{}, err
		}
		conf, err := readConfig(path)
		if err != nil {
			return reconcile.Options{}, err
		}
		if err := startProxyJob(ctx, agent.Client(), path, conf.Routers[0].Instances[0]); err != nil {
			return reconcile.Options{}, err
		}
		users.start(ctx, "http://"+listen+"/")
		return wire(conf, logger, prometheus.NewRegistry())
	}
	// The example finds its program by a variable, as a real one finds its artifact.
	s.release = func(text string) string {
		return strings.Replace(text, "  policy  = \"standard\"\n", "  policy  = \"standard\"\n\n  variables {\n    binary = \""+service+"\"\n  }\n", 1)
	}
	return s, nil
}

// writeDemoConfig writes a drover.hcl, as a user would.
func writeDemoConfig(dir, nomadAddress, repository string) (path, listen string, err error) {
	listen, err = freeAddress()
	if err != nil {
		return "", "", err
	}
	admin, err := freeAddress()
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "drover.hcl")
	text := fmt.Sprintf(`git {
  url  = %q
  poll = "1s"
}

nomad {
  address = %q
}

router "edge" {
  type      = "proxy"
  listen    = %q
  admin     = %q
  instances = ["http://%s"]

  route "checkout-api" {}
}
`, repository, nomadAddress, listen, admin, admin)
	return path, listen, os.WriteFile(path, []byte(text), 0o600)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It is closed at once.
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// startProxyJob runs drover proxy on Nomad and waits until it answers.
func startProxyJob(ctx context.Context, client *api.Client, config, admin string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	job := api.NewServiceJob("drover-proxy", "drover-proxy", "global", 50)
	task := api.NewTask("proxy", "raw_exec")
	task.Config = map[string]any{"command": self, "args": []string{"proxy", "-config", config}}
	job.AddTaskGroup(api.NewTaskGroup("proxy", 1).AddTask(task))
	if _, _, err := client.Jobs().Register(job, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("run drover proxy on Nomad: %w", err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/healthz", nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			return response.Body.Close()
		}
	}
	return errors.New("drover proxy did not start within a minute")
}

// users ask for checkouts at a steady rate, and count which version answered.
type users struct {
	client   *http.Client
	cancel   context.CancelFunc
	group    sync.WaitGroup
	mu       sync.Mutex
	versions map[string]float64
}

func (u *users) start(ctx context.Context, url string) {
	ctx, u.cancel = context.WithCancel(ctx)
	const workers = 20
	for range workers {
		u.group.Go(func() {
			ticker := time.NewTicker(time.Second * workers / realRPS)
			defer ticker.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
					u.ask(ctx, url)
				}
			}
		})
	}
}

func (u *users) ask(ctx context.Context, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	response, err := u.client.Do(request)
	if err != nil {
		return // The proxy counts what fails; here only answers count.
	}
	defer response.Body.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.versions[response.Header.Get("X-Version")]++
}

func (u *users) answered() map[string]float64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.versions)
}

func (u *users) stop() {
	if u.cancel != nil {
		u.cancel()
	}
	u.group.Wait()
	u.client.CloseIdleConnections()
}
