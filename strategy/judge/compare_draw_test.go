package judge_test

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// curve is how one contender does at each rate of traffic, in percent.
type curve struct {
	name string
	at   []float64
}

// panel is a picture of curves beside others.
type panel struct {
	title  string
	curves []curve
}

// curves are the shares of rollouts that each contender rolled back, of the kinds of traffic that are wanted, in their order.
func curves[T traffic](all []contender[T], kinds []T, rows [][]result, wanted func(T) bool) []curve {
	drawn := make([]curve, len(all))
	for i, c := range all {
		drawn[i].name = c.name
		for j, kind := range kinds {
			if wanted(kind) {
				drawn[i].at = append(drawn[i].at, rows[j][i].rolledBack*100)
			}
		}
	}
	return drawn
}

// drawComparisons writes the pictures of the manual.
func drawComparisons(t *testing.T, dir string, errorRows, slowRows [][]result) {
	t.Helper()
	fails := func(base, effect float64) []curve {
		return curves(contenders(), settings(), errorRows, func(s setting) bool {
			return s.base == base && s.effect == effect && s.burst == 1
		})
	}
	takes := func(shift float64) []curve {
		return curves(slowContenders(), slowdowns(), slowRows, func(s slowdown) bool { return s.shift == shift })
	}
	pictures := map[string][]panel{
		"judgement-errors.svg": {
			{"healthy, 1% of all requests fail", fails(0.01, 1)},
			{"twice as many errors, 0.1% usual", fails(0.001, 2)},
			{"ten times as many, 0.1% usual", fails(0.001, 10)},
		},
		"judgement-latency.svg": {
			{"healthy, p95 of 200 ms", takes(1)},
			{"all take 1.5 times as long", takes(1.5)},
			{"all take twice as long", takes(2)},
		},
	}
	for name, panels := range pictures {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(draw(panels)), 0o644); err != nil { //nolint:gosec // A picture of the manual.
			t.Fatal(err)
		}
	}
}

// draw is the panels side by side as SVG, over one legend: the share of rollouts that was rolled back by requests a second.
func draw(panels []panel) string {
	const (
		wide, tall      = 300, 200 // of a panel
		left, top       = 50, 40
		pitch           = wide + 60
		legend, lineGap = top + tall + 60, 20
		ink, grid       = "#24292f", "#d0d7de"
	)
	colours := []string{"#1a7f37", "#0969da", "#8250df", "#cf222e", "#bc4c00", "#9a6700", "#57606a"}
	rates := []string{"2", "20", "200", "2000"}
	var b strings.Builder
	text := func(x, y float64, anchor, content string) {
		fmt.Fprintf(&b, "<text x=\"%g\" y=\"%g\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", x, y, anchor, ink, html.EscapeString(content))
	}
	height := legend + lineGap*len(panels[0].curves)
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", left+pitch*len(panels), height)
	b.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n")
	for i, p := range panels {
		x := func(rate int) float64 { return float64(left + pitch*i + wide*rate/(len(rates)-1)) }
		y := func(percent float64) float64 { return top + tall*(1-percent/100) }
		text(x(0), top-16, "start", "rolled back: "+p.title)
		for _, percent := range []float64{0, 25, 50, 75, 100} {
			fmt.Fprintf(&b, "<line x1=\"%g\" x2=\"%g\" y1=\"%g\" y2=\"%g\" stroke=\"%s\"/>\n", x(0), x(len(rates)-1), y(percent), y(percent), grid)
			text(x(0)-8, y(percent)+4, "end", fmt.Sprintf("%g%%", percent))
		}
		for rate, name := range rates {
			text(x(rate), top+tall+18, "middle", name+"/s")
		}
		for j, c := range p.curves {
			var points strings.Builder
			for rate, percent := range c.at {
				fmt.Fprintf(&points, "%g,%.1f ", x(rate), y(percent))
			}
			fmt.Fprintf(&b, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2.5\" stroke-opacity=\"0.8\"/>\n", points.String(), colours[j%len(colours)])
		}
	}
	for j, c := range panels[0].curves {
		y := float64(legend + lineGap*j)
		fmt.Fprintf(&b, "<line x1=\"%d\" x2=\"%d\" y1=\"%g\" y2=\"%g\" stroke=\"%s\" stroke-width=\"2.5\"/>\n", left, left+30, y-4, y-4, colours[j%len(colours)])
		text(left+40, y, "start", c.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
