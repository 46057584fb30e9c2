package strategy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Weight is the share of traffic for the canary, in hundredths of a percent: 0 is none, Full is all.
type Weight int

// Full is all of the traffic.
const Full Weight = 10000

// Percent makes a Weight of whole percents.
func Percent(p int) Weight { return Weight(p) * 100 }

// Share is the weight as a fraction from 0 to 1.
func (w Weight) Share() float64 { return float64(w) / float64(Full) }

// String writes the weight as a person does: "25%", "0.5%".
func (w Weight) String() string {
	s := strconv.FormatFloat(float64(w)/100, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "%"
}

// MarshalText writes "25%", so that records can be read by people.
func (w Weight) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (w *Weight) UnmarshalText(text []byte) error {
	parsed, err := ParseWeight(string(text))
	if err != nil {
		return err
	}
	*w = parsed
	return nil
}

// ParseWeight reads a percentage such as "25%" or "0.5%", from 0% to 100% in steps of 0.01%.
func ParseWeight(s string) (Weight, error) {
	number, isPercent := strings.CutSuffix(strings.TrimSpace(s), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !isPercent || math.IsNaN(f) {
		return 0, fmt.Errorf("weight %q is not a percentage such as \"25%%\"", s)
	}
	hundredths := f * 100
	w := Weight(hundredths + 0.5)
	if f < 0 || f > 100 {
		return 0, fmt.Errorf("weight %q is not between 0%% and 100%%", s)
	}
	if diff := hundredths - float64(w); diff > 1e-6 || diff < -1e-6 {
		return 0, fmt.Errorf("weight %q is finer than 0.01%%", s)
	}
	return w, nil
}
