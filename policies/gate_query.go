package policies

import (
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/drover-dev/drover/strategy"
)

// decodeQuery reads a gate with a query of its own. One that asks for ${range} counts events in that time, against its
// exposure or else the requests of the release, and is judged as an error rate is; any other reads a value.
func (r *gateRule) decodeQuery(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	diags := r.refuse(attrs, "quantile")
	query := attrs["query"]
	if query == nil {
		return append(diags, fault("Missing query", block.DefRange, "A gate on \"query\" needs what it asks: query = \"sum(increase(failures_total{alloc_id=~\\\"${allocs}\\\"}[${range}]))\"."))
	}
	text, d := queryOf("query", query.Expr)
	diags = append(diags, d...)
	r.gate.Query = &strategy.Query{Text: text, Instant: !strings.Contains(text, "${range}")}
	if !d.HasErrors() && !strings.Contains(text, "${allocs}") {
		diags = append(diags, fault("Invalid query", query.Expr.Range(), "The query has no ${allocs}, so that it would say the same of both tracks. Select by it: {alloc_id=~\"${allocs}\"}."))
	}
	if attr := attrs["exposure"]; attr != nil {
		r.gate.Query.Exposure, d = queryOf("exposure", attr.Expr)
		if !d.HasErrors() && (r.gate.Query.Instant || !strings.Contains(r.gate.Query.Exposure, "${range}")) {
			d = faults("Invalid query", attr.Expr.Range(), "exposure is what events are held against: both queries count in a time, [${range}].")
		}
		diags = append(diags, d...)
	}
	if r.gate.Query.Instant {
		return append(diags, r.decodeValue(block, attrs)...)
	}
	diags = append(diags, r.refuse(attrs, "min")...)
	return append(diags, r.decodeShares(block, attrs)...)
}

// decodeValue reads the limits of a gate that reads a value.
func (r *gateRule) decodeValue(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	diags := r.refuse(attrs, "promote_vs_stable")
	for name, limit := range map[string]**strategy.Bound{"max": &r.gate.Max, "min": &r.gate.Min} {
		if attr := attrs[name]; attr != nil {
			v, d := numberOf(name, "a number, as the query answers", attr.Expr)
			diags = append(diags, d...)
			*limit = &strategy.Bound{Value: v, Text: strconv.FormatFloat(v, 'g', -1, 64)}
		}
	}
	if attr := attrs["max_vs_stable"]; attr != nil {
		tolerance, d := toleranceOf(attr.Expr, false)
		diags = append(diags, d...)
		r.gate.MaxVsStable = &tolerance
	}
	return append(diags, r.needsThreshold(block, `max = 0.8, min = 1 or max_vs_stable = "1.5x"`)...)
}

// decodeSaturation reads a gate on how much allocations use of what they have.
func (r *gateRule) decodeSaturation(block *hcl.Block, attrs hcl.Attributes) hcl.Diagnostics {
	diags := r.refuse(attrs, "quantile", "min", "promote_vs_stable")
	if attr := attrs["max"]; attr != nil {
		share, text, d := shareOf("max", "90%", attr.Expr)
		diags = append(diags, d...)
		r.gate.Max = &strategy.Bound{Value: share, Text: text}
	}
	if attr := attrs["max_vs_stable"]; attr != nil {
		tolerance, d := toleranceOf(attr.Expr, true)
		if !d.HasErrors() && tolerance.Plus == 0 {
			d = faults("Invalid tolerance", attr.Expr.Range(), "A share of the machine is compared in percentage points: write \"+10pp\".")
		}
		diags = append(diags, d...)
		r.gate.MaxVsStable = &tolerance
	}
	return append(diags, r.needsThreshold(block, `max = "90%" or max_vs_stable = "+10pp"`)...)
}
