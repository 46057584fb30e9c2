package strategy

// SharedOff looks a number of times at how requests are divided, and tells whether the share is off in the end.
func SharedOff(share float64, looks int, look func() (canary, stable float64)) bool {
	var s shared
	for range looks {
		canary, stable := look()
		s = s.add(canary, stable, share)
	}
	return s.Off
}
