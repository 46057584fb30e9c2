package judge

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// The vectors leave out that 20 windows are needed, so they are held against what comes before that rule.
func TestDispersionVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Dispersion []struct {
			Rows                [][2][]float64
			UsedScrapes         int
			Df, PhiHat, PhiUsed float64
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Dispersion) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Dispersion {
		var rows []Row
		for _, r := range v.Rows {
			rows = append(rows, Row{Events: r[0], Exposure: r[1]})
		}
		estimate, degrees, usable := dispersion(rows)
		if usable != v.UsedScrapes || degrees != v.Df || math.Abs(estimate-v.PhiHat) > 1e-9 || math.Abs(upperBurst(estimate, degrees)-v.PhiUsed) > 1e-8 {
			t.Errorf("got %v of %v degrees in %d windows, upper end %v; want %+v", estimate, degrees, usable, upperBurst(estimate, degrees), v)
		}
	}
}
