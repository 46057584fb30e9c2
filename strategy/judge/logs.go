package judge

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Logs is a list of natural logarithms, such as of wealth. In JSON it is a list of numbers, with null for minus infinity,
// the logarithm of nothing. What is written and read again is equal to the bit.
type Logs []float64

// MarshalJSON writes the list.
func (l Logs) MarshalJSON() ([]byte, error) {
	text := make([]byte, 0, 2+20*len(l))
	text = append(text, '[')
	for i, v := range l {
		if i > 0 {
			text = append(text, ',')
		}
		switch {
		case math.IsInf(v, -1):
			text = append(text, "null"...)
		case math.IsNaN(v) || math.IsInf(v, 1):
			return nil, fmt.Errorf("%v is no logarithm of wealth", v)
		default:
			text = strconv.AppendFloat(text, v, 'g', -1, 64)
		}
	}
	return append(text, ']'), nil
}

// UnmarshalJSON reads the list.
func (l *Logs) UnmarshalJSON(text []byte) error {
	inner, opened := strings.CutPrefix(strings.TrimSpace(string(text)), "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !opened || !closed {
		return fmt.Errorf("logarithms of wealth: got %.40q, want a list of numbers", text)
	}
	*l = Logs{}
	if strings.TrimSpace(inner) == "" {
		return nil
	}
	for word := range strings.SplitSeq(inner, ",") {
		word = strings.TrimSpace(word)
		if word == "null" {
			*l = append(*l, math.Inf(-1))
			continue
		}
		v, err := strconv.ParseFloat(word, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("logarithms of wealth: got %.40q, want a number or null", word)
		}
		*l = append(*l, v)
	}
	return nil
}

// sumExp is the logarithm of the sum of what the list holds the logarithms of, without leaving the range of numbers.
func (l Logs) sumExp() float64 {
	top := math.Inf(-1)
	for _, v := range l {
		top = max(top, v)
	}
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	for _, v := range l {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}
