package judge

// Increase is by how much a counter grew from one reading to the next. A smaller reading means that its process began
// anew, from zero; what it counted between the last reading and its end is lost, of events and exposure alike.
//
// Take the increase of every series by itself, then sum. A sum that loses a member looks like a restart.
func Increase(prev, cur float64) float64 {
	if cur >= prev {
		return cur - prev
	}
	return cur
}
