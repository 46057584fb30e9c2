package policies

import (
	"cmp"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// longestDrain bounds connection_drain: until it is over the old allocations run beside the new ones.
const longestDrain = 24 * time.Hour

// trafficRule is a traffic block. What is nil was left out.
type trafficRule struct {
	router, service *string
	drain           *time.Duration
	sticky          *bool
	places          places
	at              *hcl.Range // of service, which only a release may say
}

var trafficSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "router"}, {Name: "service"}, {Name: "connection_drain"}, {Name: "sessions"}}}

// decodeTrafficBlock reads how the traffic is divided. Whether the router and the service exist is for others to say.
func decodeTrafficBlock(block *hcl.Block) (trafficRule, hcl.Diagnostics) {
	t := trafficRule{places: places{}}
	content, diags := block.Body.Content(trafficSchema)
	t.places.note("traffic.", content.Attributes, "router", "service", "connection_drain", "sessions")
	if attr := content.Attributes["router"]; attr != nil {
		name, d := stringOf("router", `the name of a router in Drover's configuration, such as "edge"`, attr.Expr)
		diags = append(diags, d...)
		t.router = &name
	}
	if attr := content.Attributes["service"]; attr != nil {
		name, d := stringOf("service", `the name of a service of the job, such as "checkout"`, attr.Expr)
		diags = append(diags, d...)
		t.service, t.at = &name, attr.Range.Ptr()
	}
	if attr := content.Attributes["connection_drain"]; attr != nil {
		limit, text, d := durationOf("connection_drain", "5m", attr.Expr)
		if !d.HasErrors() && limit > longestDrain {
			d = faults("Drain without end", attr.Expr.Range(), "connection_drain = %q: the old allocations run until it is over. Write 24h or less.", text)
		}
		diags = append(diags, d...)
		t.drain = &limit
	}
	if attr := content.Attributes["sessions"]; attr != nil {
		word, d := wordOf("sessions", []string{sessionsNone, sessionsSticky}, attr.Expr)
		diags = append(diags, d...)
		sticky := word == sessionsSticky
		t.sticky = &sticky
	}
	return t, diags
}

// The values of sessions.
const (
	sessionsNone   = "none"
	sessionsSticky = "sticky"
)

// under puts the traffic of a release over that of its policy.
func (t trafficRule) under(policy trafficRule) (traffic strategy.Traffic, drain time.Duration, sticky bool) {
	if router := cmp.Or(t.router, policy.router); router != nil {
		traffic.Router = *router
	}
	if t.service != nil {
		traffic.Service = *t.service
	}
	if limit := cmp.Or(t.drain, policy.drain); limit != nil {
		drain = *limit
	}
	if s := cmp.Or(t.sticky, policy.sticky); s != nil {
		sticky = *s
	}
	return traffic, drain, sticky
}
