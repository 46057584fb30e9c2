package traefik

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// dynamic is the part of Traefik's dynamic configuration that is used.
type dynamic struct {
	HTTP section `json:"http"`
}

type section struct {
	Services    map[string]service    `json:"services,omitempty"`
	Routers     map[string]route      `json:"routers,omitempty"`
	Middlewares map[string]middleware `json:"middlewares,omitempty"`
	Transports  map[string]transport  `json:"serversTransports,omitempty"`
}

type service struct {
	LoadBalancer *loadBalancer `json:"loadBalancer,omitempty"`
	Weighted     *weighted     `json:"weighted,omitempty"`
	Mirroring    *mirroring    `json:"mirroring,omitempty"`
}

type loadBalancer struct {
	Servers     []server     `json:"servers"`
	HealthCheck *healthCheck `json:"healthCheck,omitempty"`
	Transport   string       `json:"serversTransport,omitempty"`
}

type server struct {
	URL          string `json:"url"`
	PreservePath bool   `json:"preservePath,omitempty"`
}

type healthCheck struct {
	Path     string `json:"path"`
	Interval string `json:"interval,omitempty"`
	Timeout  string `json:"timeout,omitempty"`
}

type weighted struct {
	Services []weightedService `json:"services"`
	Sticky   *sticky           `json:"sticky,omitempty"`
}

type weightedService struct {
	Name   string `json:"name"`
	Weight int    `json:"weight"`
}

type sticky struct {
	Cookie cookie `json:"cookie"`
}

type cookie struct {
	Name     string `json:"name"`
	HTTPOnly bool   `json:"httpOnly"`
	SameSite string `json:"sameSite"`
}

// nowhere is the server of the services that nobody routes to.
const nowhere = "http://127.0.0.1:1"

// configuration is what Traefik is told of these splits. entry is the address of its entry point for copies, "" for none.
func configuration(splits []strategy.Split, entry string) ([]byte, error) {
	var d dynamic
	d.HTTP.Services = map[string]service{}
	for _, s := range splits {
		sum, err := checksum(s)
		if err != nil {
			return nil, err
		}
		maps.Copy(d.HTTP.Services, services(s))
		if s.Copies != nil && entry != "" {
			d.HTTP.copy(s, entry)
		}
		d.HTTP.Services[marker(s.Release, sum)] = service{LoadBalancer: &loadBalancer{Servers: []server{{URL: nowhere}}}}
	}
	content, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write Traefik's configuration: %w", err)
	}
	return content, nil
}

// services are those of one release. At 0% and at 100% requests go to one track, and there is no cookie; the service of the
// other is there still, since Traefik forgets what it has counted of one that is gone.
func services(s strategy.Split) map[string]service {
	stable, canary := named(s.Release, string(strategy.Stable)), named(s.Release, string(strategy.Canary))
	weight := min(max(s.Weight, 0), strategy.Full)
	if len(s.Canary) == 0 { // One that nobody answers for leaves its share to stable.
		weight = 0
	}
	all := map[string]service{stable: {LoadBalancer: balance(s.Stable, s.Check)}, canary: {LoadBalancer: balance(s.Canary, s.Check)}}
	w := &weighted{}
	if weight < strategy.Full {
		w.Services = append(w.Services, weightedService{stable, int(strategy.Full - weight)})
	}
	if weight > 0 {
		w.Services = append(w.Services, weightedService{canary, int(weight)})
	}
	if s.Sessions != "" && len(w.Services) > 1 {
		w.Sticky = &sticky{cookie{Name: "drover_" + s.Release + "_" + short(s.Sessions), HTTPOnly: true, SameSite: "lax"}}
	}
	all[s.Release] = service{Weighted: w}
	return all
}

func balance(endpoints []strategy.Endpoint, check *strategy.Check) *loadBalancer {
	b := &loadBalancer{Servers: []server{}}
	for _, e := range endpoints {
		b.Servers = append(b.Servers, server{URL: "http://" + e.Address})
	}
	if check != nil && check.Type == "http" && len(endpoints) > 0 {
		b.HealthCheck = &healthCheck{Path: check.Path, Interval: text(check.Interval), Timeout: text(check.Timeout)}
	}
	return b
}

// text is a duration as Traefik reads it; "" for its default.
func text(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return d.String()
}

// short tells one rollout from another in the name of a cookie.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// checksum is that of a split.
func checksum(s strategy.Split) (string, error) {
	content, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("write the split of %q: %w", s.Release, err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8]), nil
}

// marker is the name of the service that says that a split is loaded.
func marker(release, sum string) string { return named(release, "is-"+sum) }

// named is what something of a release is called. No release has a name with _, so that nothing of one is called like another.
func named(release, what string) string { return release + "_" + what }
