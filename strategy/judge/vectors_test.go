package judge_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drover-dev/drover/strategy/judge"
)

// vectors were computed independently of this package, with exact rationals and 60-digit decimals.
type vectors struct {
	Ratio []struct {
		Name   string
		Config struct {
			Rho0, Delta, Phi, Cap, Share, Cash float64
			Mult                               []float64
		}
		Alpha          float64
		Updates        [][4]float64
		LogE           []float64
		MaxLogE        float64
		FirstCrossing  int
		FinalLogWealth judge.Logs
	}
	Factor []struct {
		Rho0, Delta, Rho, Xc, Nc, Xs, Ns, LogFactor float64
	}
	NullExpectation []struct {
		Rho0, Delta              float64
		Nc, Ns                   int
		ThetaStable, ThetaCanary float64
		Grid                     string
		Expectation              float64
	}
	CrossingProbability []struct {
		ThetaBoth          float64
		Nc, Ns, Scrapes    int
		Mult               []float64
		Cash, Share, Alpha float64
		Probability        float64
	}
	Ceiling []struct {
		Max, Share, Cash float64
		Mult             []float64
		Updates          [][2]float64
		LogE             []float64
	}
	Saturation []struct {
		Margin    float64
		Fractions []float64
		D, LogE   []float64
	}
	Histogram []struct {
		Le                                    []any
		StableCumulative, CanaryCumulative    []float64
		Quantile, Margin                      float64
		BoundaryIndex                         int
		Boundary, Kappa, Rho0, Xs, Ns, Xc, Nc float64
	}
	Dispersion []struct {
		Rows                         [][2][]float64
		UsedScrapes                  int
		Pearson, Df, PhiHat, PhiUsed float64
	}
	Counter []struct {
		Values, Increases []float64
	}
	Combine []struct {
		LogE, Weights      []float64
		Alpha, LogCombined float64
		Rollback           bool
	}
	Forecast []struct {
		Rho0, Delta                                                       float64
		Mult                                                              []float64
		Nc, Ns, ThetaCanary, ThetaStable, Level, GrowthPerScrape, Scrapes float64
	}
	PassClean []struct {
		Rho0, Delta, Weight, Beta float64
		CleanCanaryRequests       int
	}
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// near is the tolerance of the vectors.
func near(got, want float64) bool {
	return got == want || math.Abs(got-want) <= 1e-9+1e-9*math.Abs(want)
}

var nearly = cmp.Comparer(near)

func TestRatioVectors(t *testing.T) {
	all := readVectors(t).Ratio
	if len(all) < 10 {
		t.Fatalf("got %d sequences, want at least 10", len(all))
	}
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			c := v.Config
			test := judge.Ratio{Ratio: c.Rho0, Absolute: c.Delta, Burst: c.Phi, Cap: c.Cap, Share: c.Share, Cash: c.Cash, Mult: c.Mult}
			if err := test.Check(); err != nil {
				t.Fatal(err)
			}
			w, crossing := test.Start(), -1
			for i, u := range v.Updates {
				var err error
				if w, err = test.Add(w, judge.Tally{XC: u[0], NC: u[1], XS: u[2], NS: u[3]}); err != nil {
					t.Fatal(err)
				}
				if got := w.LogE(); !near(got, v.LogE[i]) {
					t.Errorf("window %d: evidence %v, want %v", i, got, v.LogE[i])
				}
				if crossing < 0 && w.LogE() >= judge.Threshold(v.Alpha) {
					crossing = i
				}
			}
			if diff := cmp.Diff(v.FinalLogWealth, w.LW, nearly); diff != "" {
				t.Errorf("wealth at the end (-want +got):\n%s", diff)
			}
			if !near(w.Max, v.MaxLogE) || crossing != v.FirstCrossing {
				t.Errorf("most evidence %v, crossing at %d, want %v at %d", w.Max, crossing, v.MaxLogE, v.FirstCrossing)
			}
		})
	}
}

func TestFactorVectors(t *testing.T) {
	for _, v := range readVectors(t).Factor {
		test := judge.Ratio{Ratio: v.Rho0, Absolute: v.Delta, Burst: 1, Mult: []float64{v.Rho / v.Rho0}}
		w, err := test.Add(test.Start(), judge.Tally{XC: v.Xc, NC: v.Nc, XS: v.Xs, NS: v.Ns})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.LogE(); !near(got, v.LogFactor) {
			t.Errorf("ratio %v: got %v, want %v", v.Rho, got, v.LogFactor)
		}
	}
}

// The expected wealth after one window at the edge of the hypothesis, over all that may happen, never exceeds 1.
func TestNullExpectationVectors(t *testing.T) {
	for _, v := range readVectors(t).NullExpectation {
		test := judge.Worse(judge.Margin{Ratio: v.Rho0, Absolute: v.Delta}, 1, 0)
		if v.Grid != "worse" {
			t.Fatalf("grid %q is unknown", v.Grid)
		}
		test.Share, test.Cash = 0, 0 // the vectors hold the betted part alone, which is the harder one to keep below 1
		got := 0.0
		for xc := range v.Nc + 1 {
			for xs := range v.Ns + 1 {
				w, err := test.Add(test.Start(), judge.Tally{XC: float64(xc), NC: float64(v.Nc), XS: float64(xs), NS: float64(v.Ns)})
				if err != nil {
					t.Fatal(err)
				}
				got += binomial(v.Nc, xc, v.ThetaCanary) * binomial(v.Ns, xs, v.ThetaStable) * math.Exp(w.LogE())
			}
		}
		if !near(got, v.Expectation) || got > 1 {
			t.Errorf("%+v: got %.12f", v, got)
		}
	}
}

// The probability that the threshold is ever reached, exactly, over all sequences of windows.
func TestCrossingProbabilityVectors(t *testing.T) {
	for _, v := range readVectors(t).CrossingProbability {
		if v.Share != 0 {
			t.Fatalf("share %v: the sums of events are not all there is to know", v.Share)
		}
		test := judge.Ratio{Ratio: 1, Burst: 1, Cash: v.Cash, Mult: v.Mult}
		// Without shares moved between bets the order of events does not matter, so sums are all there is to know.
		type place struct{ xc, xs, left int }
		known := map[place]float64{}
		var walk func(w judge.Wealth, at place) float64
		walk = func(w judge.Wealth, at place) float64 {
			if w.LogE() >= judge.Threshold(v.Alpha) {
				return 1
			}
			if at.left == 0 {
				return 0
			}
			if sum, ok := known[at]; ok {
				return sum
			}
			sum := 0.0
			for xc := range v.Nc + 1 {
				for xs := range v.Ns + 1 {
					next, err := test.Add(w, judge.Tally{XC: float64(xc), NC: float64(v.Nc), XS: float64(xs), NS: float64(v.Ns)})
					if err != nil {
						t.Fatal(err)
					}
					sum += binomial(v.Nc, xc, v.ThetaBoth) * binomial(v.Ns, xs, v.ThetaBoth) * walk(next, place{at.xc + xc, at.xs + xs, at.left - 1})
				}
			}
			known[at] = sum
			return sum
		}
		if got := walk(test.Start(), place{left: v.Scrapes}); math.Abs(got-v.Probability) > 1e-12 || got > v.Alpha {
			t.Errorf("%+v: got %.15f", v, got)
		}
	}
}

func binomial(n, k int, p float64) float64 {
	all, _ := math.Lgamma(float64(n + 1))
	in, _ := math.Lgamma(float64(k + 1))
	out, _ := math.Lgamma(float64(n - k + 1))
	return math.Exp(all - in - out + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func TestCeilingVectors(t *testing.T) {
	for _, v := range readVectors(t).Ceiling {
		test := judge.Ceiling{Max: v.Max, Burst: 1, Share: v.Share, Cash: v.Cash, Mult: v.Mult}
		if err := test.Check(); err != nil {
			t.Fatal(err)
		}
		w := test.Start()
		for i, u := range v.Updates {
			var err error
			if w, err = test.Add(w, u[0], u[1]); err != nil {
				t.Fatal(err)
			}
			if got := w.LogE(); !near(got, v.LogE[i]) {
				t.Errorf("window %d: evidence %v, want %v", i, got, v.LogE[i])
			}
		}
	}
}

func TestSaturationVectors(t *testing.T) {
	for _, v := range readVectors(t).Saturation {
		test := judge.Saturation{Margin: v.Margin, Fractions: v.Fractions}
		if err := test.Check(); err != nil {
			t.Fatal(err)
		}
		w := test.Start()
		for i, d := range v.D {
			var err error
			if w, err = test.Add(w, d); err != nil {
				t.Fatal(err)
			}
			if got := w.LogE(); !near(got, v.LogE[i]) {
				t.Errorf("reading %d: evidence %v, want %v", i, got, v.LogE[i])
			}
		}
	}
}

func TestHistogramVectors(t *testing.T) {
	for _, v := range readVectors(t).Histogram {
		var le []float64
		for _, bound := range v.Le {
			if text, ok := bound.(string); ok && text == "+Inf" {
				bound = math.Inf(1)
			}
			le = append(le, bound.(float64))
		}
		got, err := judge.TailFromHistogram(le, v.StableCumulative, v.Quantile, v.Margin)
		if err != nil {
			t.Fatal(err)
		}
		want := judge.Tail{Boundary: v.Boundary, Index: v.BoundaryIndex, Events: v.Xs, Exposure: v.Ns, Kappa: v.Kappa, Ratio: v.Rho0}
		if diff := cmp.Diff(want, got, nearly); diff != "" {
			t.Errorf("tail (-want +got):\n%s", diff)
		}
		if slow := v.CanaryCumulative[len(le)-1] - v.CanaryCumulative[got.Index]; slow != v.Xc {
			t.Errorf("slow canary requests: got %v, want %v", slow, v.Xc)
		}
	}
}

func TestCounterVectors(t *testing.T) {
	for _, v := range readVectors(t).Counter {
		var got []float64
		for i := 1; i < len(v.Values); i++ {
			got = append(got, judge.Increase(v.Values[i-1], v.Values[i]))
		}
		if diff := cmp.Diff(v.Increases, got); diff != "" {
			t.Errorf("increases of %v (-want +got):\n%s", v.Values, diff)
		}
	}
}

func TestCombineVectors(t *testing.T) {
	for _, v := range readVectors(t).Combine {
		got := judge.Combine(v.LogE, v.Weights)
		if rollback := got >= judge.Threshold(v.Alpha); !near(got, v.LogCombined) || rollback != v.Rollback {
			t.Errorf("%v: got %v, want %v", v.LogE, got, v.LogCombined)
		}
	}
}

func TestForecastVectors(t *testing.T) {
	for _, v := range readVectors(t).Forecast {
		test := judge.Ratio{Ratio: v.Rho0, Absolute: v.Delta, Burst: 1, Mult: v.Mult}
		growth, windows, ok := test.Forecast(v.Nc, v.Ns, v.ThetaCanary, v.ThetaStable, v.Level)
		if !ok || !near(growth, v.GrowthPerScrape) || !near(windows, v.Scrapes) {
			t.Errorf("got %v in %v windows (%t), want %v in %v", growth, windows, ok, v.GrowthPerScrape, v.Scrapes)
		}
	}
}

// The fewest clean canary requests that pass, one window at a time.
func TestPassCleanVectors(t *testing.T) {
	for _, v := range readVectors(t).PassClean {
		test := judge.NotWorse(judge.Margin{Ratio: v.Rho0, Absolute: v.Delta}, 1)
		w, n := test.Start(), 0
		for w.LogE() < judge.Threshold(v.Beta) && n < 10*v.CleanCanaryRequests {
			n++
			var err error
			if w, err = test.Add(w, judge.Tally{NC: 1, NS: (1 - v.Weight) / v.Weight}); err != nil {
				t.Fatal(err)
			}
		}
		if n != v.CleanCanaryRequests {
			t.Errorf("weight %v: got %d requests, want %d", v.Weight, n, v.CleanCanaryRequests)
		}
	}
}
