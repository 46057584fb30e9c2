package reconcile

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/drover-dev/drover/strategy"
)

// metrics are the loop's own. Labels are of bounded value: releases are as many as the repository has.
type metrics struct {
	passes   prometheus.Histogram
	actions  *prometheus.CounterVec
	outcomes *prometheus.CounterVec
	weight   *prometheus.GaugeVec
	held     *prometheus.GaugeVec
	alarms   *prometheus.GaugeVec
	lost     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	return &metrics{
		passes: factory.NewHistogram(prometheus.HistogramOpts{
			Name: "drover_pass_seconds", Help: "Time of one pass over all releases.", Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}),
		actions: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "drover_actions_total", Help: "Actions performed, by kind and result (ok, error).",
		}, []string{"action", "result"}),
		outcomes: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "drover_rollouts_total", Help: "Rollouts that ended, by outcome.",
		}, []string{"outcome"}),
		weight: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "drover_canary_weight_ratio", Help: "Share of traffic that the canary of a release is given, from 0 to 1.",
		}, []string{"release"}),
		held: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "drover_rollout_held", Help: "1 while a rollout does not go forward.",
		}, []string{"release"}),
		lost: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "drover_splits_lost_total", Help: "Splits that a router had in effect and lost: it was started anew, or changed by somebody else.",
		}, []string{"router"}),
		alarms: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "drover_alarm",
			Help: "1 while a person has to look: severity alarm soon, page at once. No release is meant by an empty one, but all.",
		}, []string{"release", "reason", "severity"}),
	}
}

// delivered counts a task; reports are too many to be interesting.
func (m *metrics) delivered(task *strategy.Task, result string) {
	if task != nil {
		m.actions.WithLabelValues(string(strategy.ActDeliver), result).Inc()
	}
}

func (m *metrics) observe(before, after strategy.Rollout) {
	m.weight.WithLabelValues(after.Release).Set(after.Weight.Share())
	held := 0.0
	if after.Hold != nil {
		held = 1
	}
	m.held.WithLabelValues(after.Release).Set(held)
	m.alarm(after.Release, before.Urgent(), after.Urgent())
	if after.Last.Kind != strategy.OutcomeNone && after.Last != before.Last {
		m.outcomes.WithLabelValues(string(after.Last.Kind)).Inc()
	}
}

// alarm says why a person has to look at a release now, and no more why before.
func (m *metrics) alarm(release string, before, now strategy.ReasonCode) {
	if u := before.Urgency(); u != "" && before != now {
		m.alarms.DeleteLabelValues(release, string(before), string(u))
	}
	if u := now.Urgency(); u != "" {
		m.alarms.WithLabelValues(release, string(now), string(u)).Set(1)
	}
}

// away says that it is not known what Git asks for, which is everybody's trouble.
func (m *metrics) away(why *strategy.Reason) {
	for _, code := range []strategy.ReasonCode{strategy.GitUnreachable, strategy.CredentialsRejected} {
		if why != nil && why.Code == code {
			m.alarm("", "", code)
		} else {
			m.alarm("", code, "")
		}
	}
}
