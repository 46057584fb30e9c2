package git

// RenewAfter has the store made anew after so many packs.
func (r *Repository) RenewAfter(packs int) { r.packs = packs }
