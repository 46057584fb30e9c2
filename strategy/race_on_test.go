//go:build race

package strategy_test

// raceDetector makes the exploration short: it has one goroutine, and takes ten times as long under the detector.
const raceDetector = true
