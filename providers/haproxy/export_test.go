package haproxy

// Between is what both tracks have, all servers of a track together, while they are brought from one division to another.
func Between(haveStable, haveCanary, wantStable, wantCanary int) (stable, canary int) {
	have, want := division{haveStable, haveCanary}, division{wantStable, wantCanary}
	if stableFirst(have, want) {
		return want.stable, have.canary
	}
	return have.stable, want.canary
}
