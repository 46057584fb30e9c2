package main

import (
	"fmt"
	"time"

	"github.com/drover-dev/drover/reconcile"
)

// count is a number of things: "1 release", "2 releases".
func count(n int, thing string) string { return reconcile.Count(n, thing) }

// short is a duration without the parts that are zero: "5m", "1h30m".
func short(d time.Duration) string { return reconcile.Short(d) }

// ageText is a time gone by, as exactly as people want it: "42s", "3m10s", "5h12m", "9d4h".
func ageText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return short(d.Truncate(time.Minute))
	}
	return short(d.Round(time.Second))
}
