package main

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// The measures of the picture, in its own units.
const (
	pictureWidth, pictureHeight        = 840, 360
	pictureLeft, pictureTop            = 60, 70
	pictureInnerWide, pictureInnerTall = 740, 230
)

// picture is the plot as SVG: the sound version and the faulty one over the same time.
func (s *staged) picture() string {
	sound := s.Sound.typical()
	axis := sound.length()
	if s.Faulty != nil {
		axis = max(axis, s.Faulty.typical().length())
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", pictureWidth, pictureHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="#ffffff"/>` + "\n")
	text := func(x, y float64, anchor, fill, content string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, fill, html.EscapeString(content))
	}
	const ink = "#24292f"
	text(pictureLeft, 24, "start", ink, fmt.Sprintf("%s: %s -> %s, %s", s.Release, s.Stable, s.Version, s.Strategy))
	text(pictureLeft, 44, "start", ink, s.Service.String())
	x := func(d time.Duration) float64 { return pictureLeft + pictureInnerWide*float64(d)/float64(max(1, axis)) }
	y := func(weight float64) float64 { return pictureTop + pictureInnerTall*(1-weight/100) }
	for _, weight := range []float64{0, 25, 50, 75, 100} {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#d0d7de"/>`+"\n", pictureLeft, pictureLeft+pictureInnerWide, y(weight), y(weight))
		text(pictureLeft-8, y(weight)+4, "end", ink, fmt.Sprintf("%g%%", weight))
	}
	for i := range 5 {
		d := axis * time.Duration(i) / 4
		text(x(d), pictureTop+pictureInnerTall+20, "middle", ink, ageText(d))
	}
	line := func(t take, colour, dash string) {
		var path strings.Builder
		last := 0.0
		fmt.Fprintf(&path, "M%.1f %.1f", x(0), y(0))
		for _, p := range t.Line {
			fmt.Fprintf(&path, "L%.1f %.1fL%.1f %.1f", x(p.At), y(last), x(p.At), y(p.Weight))
			last = p.Weight
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2.5"%s/>`+"\n", path.String(), colour, dash)
	}
	const good, bad = "#1a7f37", "#cf222e"
	line(sound, good, ` stroke-dasharray="6 4"`)
	text(pictureLeft, pictureHeight-20, "start", good, fmt.Sprintf("sound: %s after %s", sound.End, ageText(sound.Took)))
	if s.Faulty != nil {
		t := s.Faulty.typical()
		line(t, bad, "")
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x(t.Took), y(t.at(t.Took-time.Second)), bad)
		text(pictureLeft, pictureHeight-4, "start", bad, fmt.Sprintf("with %s: %s after %s: %s", s.Fault, t.End, ageText(t.Took), t.Reason))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
