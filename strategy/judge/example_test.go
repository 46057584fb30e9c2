package judge_test

import (
	"fmt"
	"time"

	"github.com/drover-dev/drover/strategy/judge"
)

// A canary that takes a tenth of 200 requests a second fails ten times as often as the stable.
func Example() {
	rules := judge.Rules{Confidence: 0.95, Gates: []judge.Gate{
		{Name: "errors", Max: 0.02, MaxVsStable: &judge.Margin{Ratio: 1.5}},
	}}
	if err := rules.Check(); err != nil {
		fmt.Println(err)
		return
	}
	record := rules.Start()
	start := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	for i := range 4 {
		var err error
		record, err = rules.Add(record, map[string]judge.Window{"errors": {
			From:   start.Add(time.Duration(i) * 15 * time.Second),
			To:     start.Add(time.Duration(i+1) * 15 * time.Second),
			Canary: judge.Failures(300, 12),
			Stable: judge.Failures(2700, 11),
		}})
		if err != nil {
			fmt.Println(err)
			return
		}
		ruling, err := rules.Judge(record, true)
		if err != nil {
			fmt.Println(err)
			return
		}
		v := ruling.Findings[0].Versus
		fmt.Printf("%s: canary %.1f%%, stable %.1f%%, %.1fx, evidence %.0f%%\n", ruling.Answer,
			v.Canary.Share()*100, v.Stable.Share()*100, v.Ratio, ruling.Evidence*100)
		if ruling.Answer == judge.Beyond {
			break
		}
	}
	// Output:
	// unsure: canary 4.0%, stable 0.4%, 9.8x, evidence 74%
	// beyond: canary 4.0%, stable 0.4%, 9.8x, evidence 100%
}
