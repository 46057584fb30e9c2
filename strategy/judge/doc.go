// Package judge holds the statistics of gates: it turns counts of two tracks into an answer, and knows neither metrics
// nor releases. Everything in it is a function of its arguments; what is remembered is a value, a Record.
//
// # What it decides
//
// Whether a canary is worse than it may be (Beyond: roll back), whether it was shown to be good enough (Within: go on),
// or neither yet (Unsure). Rules name the gates of a rollout, each with a limit against the stable that runs beside the
// canary, a fixed limit, or both. Rules.Add takes in what was counted since the last reading, Rules.Judge tells what that
// amounts to. What to do while nothing is proven is for the caller to decide.
//
// # What it promises
//
// A canary that is within all its limits is rolled back with a probability of at most 1 - Confidence in a whole rollout,
// over all gates, however long it runs and however often it is looked at. A canary beyond what promotion asks for passes
// a gate with a probability of at most 1 - Confidence. Neither asks for a number of samples, for a window, or for a rate
// that stays the same: the stable's rate may move as it likes while the canary's moves with it.
//
// The promise is against chance, under one condition: events come independently, or at most Burst of them at a time.
// EstimateBurst measures that. It is no promise against a canary that gets other traffic than the stable.
//
// # How
//
// The tests are bets against the hypothesis, whose wealth is the evidence (Wealth); Ratio, Ceiling and Saturation are the
// bets. Tests that add up evidence this way may be looked at after every request, which a fixed limit on a rate and a
// test of significance may not: these go wrong the more often they are asked. The price is a number of events, not a
// number of requests: a canary that fails wholly is seen in two windows, one that fails ten times as often as it should
// within 5 to 10 failures, one that fails twice as often within 30 to 60.
//
// Decided 2026-11: a test of the ratio given the total of events, with the odds of every window following from its own
// exposures, in place of comparing two rates. It needs no estimate of the base rate, and a change of weight changes
// nothing. A rank test over intervals was rejected: with counts it throws away how much was counted. Decided 2026-11: a
// margin adds its relative and its absolute part ("1.5x" and "+0.5pp"); the larger of the two was rejected, because it
// can be tested only while the base rate stands still.
package judge
