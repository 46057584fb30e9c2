package nomad

import (
	"fmt"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// unplaced puts into words why allocations of the live version wait for a place; "" when none does.
func unplaced(evaluations []*api.Evaluation, live version) string {
	var newest *api.Evaluation
	for _, e := range evaluations {
		if e.Status != "blocked" || len(e.FailedTGAllocs) == 0 || e.CreateIndex < live.modifyIndex() {
			continue
		}
		if newest == nil || e.CreateIndex > newest.CreateIndex {
			newest = e
		}
	}
	if newest == nil {
		return ""
	}
	var said []string
	for _, group := range sortedKeys(newest.FailedTGAllocs) {
		if metric := newest.FailedTGAllocs[group]; metric != nil {
			said = append(said, placementFailure(group, metric))
		}
	}
	return strings.Join(said, "; ")
}

func placementFailure(group string, m *api.AllocationMetric) string {
	waiting := m.CoalescedFailures + 1
	noun := "allocations"
	if waiting == 1 {
		noun = "allocation"
	}
	var why []string
	if m.NodesEvaluated == 0 && m.NodesInPool == 0 {
		why = append(why, "no node is eligible")
	}
	for _, constraint := range sortedKeys(m.ConstraintFiltered) {
		why = append(why, fmt.Sprintf("constraint %s filtered %d", constraint, m.ConstraintFiltered[constraint]))
	}
	for _, dimension := range sortedKeys(m.DimensionExhausted) {
		why = append(why, fmt.Sprintf("%s exhausted on %d", dimension, m.DimensionExhausted[dimension]))
	}
	for _, quota := range m.QuotaExhausted {
		why = append(why, "quota "+quota+" exhausted")
	}
	if len(why) == 0 {
		why = append(why, "no reason given")
	}
	return fmt.Sprintf("%d %s of group %q cannot be placed on %d %s: %s", waiting, noun, group,
		m.NodesEvaluated, plural(m.NodesEvaluated, "node", "nodes"), strings.Join(why, ", "))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
