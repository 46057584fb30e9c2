package main

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"1 release":  count(1, "release"),
		"0 releases": count(0, "release"),
		"2 canaries": count(2, "canary"),
		"3 tries":    count(3, "try"),
		"2 days":     count(2, "day"),
		"5m":         short(5 * time.Minute),
		"1h":         short(time.Hour),
		"1h30m":      short(90 * time.Minute),
		"1h0m5s":     short(time.Hour + 5*time.Second),
		"10s":        short(10 * time.Second),
		"0s":         short(0),
		"300ms":      short(300 * time.Millisecond),
		"42s":        ageText(42*time.Second + 300*time.Millisecond),
		"3m10s":      ageText(190 * time.Second),
		"5h12m":      ageText(5*time.Hour + 12*time.Minute + 9*time.Second),
		"9d4h":       ageText(9*24*time.Hour + 4*time.Hour + 59*time.Minute),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
