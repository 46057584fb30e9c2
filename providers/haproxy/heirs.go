package haproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// tableLines are what a backend needs to have another server of its track take over the users of one that left. HAProxy asks
// the table where the server of a user's cookie serves nobody; the cookie is read before HAProxy takes it out of the request.
const tableLines = `  stick-table type string len 32 size 10k
  http-request set-var(txn.drover_user) req.cook(%s)
  stick match var(txn.drover_user)
`

// cookieName is the name of the cookie in the lines that Drover writes and proposes.
func cookieName(release string) string { return "drover_" + strategy.Symbol(release) }

// heir is an entry of the table: the users with a value of the cookie belong to a server.
type heir struct{ cookie, id string }

// heirs reads the table of a backend; has is false for one without, or with one for something else.
func (s socket) heirs(ctx context.Context, backend string) (all []heir, has bool, err error) {
	said, err := s.ask(ctx, "show table "+backend)
	if err != nil || !strings.HasPrefix(said, "# table: "+backend+", type: string,") {
		return nil, false, err
	}
	for line := range strings.Lines(said) {
		var h heir
		for field := range strings.FieldsSeq(line) {
			switch key, value, _ := strings.Cut(field, "="); key {
			case "key":
				h.cookie = value
			case "server_id":
				h.id = value
			}
		}
		if h.cookie != "" {
			all = append(all, h)
		}
	}
	return all, true, nil
}

// bequests has the users of servers that leave belong to others of their track, in turns. It comes before the servers leave: the
// table is not asked while they serve. The users of a track that nobody serves any more are divided anew.
func (s socket) bequests(ctx context.Context, have pool, want []server, added bool) ([]change, error) {
	leaving := slices.DeleteFunc(slices.Clone(have.servers), func(h server) bool { return h.track == "" || find(want, h.name) != nil })
	if len(leaving) == 0 {
		return nil, nil
	}
	if added {
		var err error
		if have, err = s.pool(ctx, have.name); err != nil {
			return nil, err
		}
	}
	known, has, err := s.heirs(ctx, have.name)
	if err != nil || !has {
		return nil, err
	}
	var changes []change
	bequeath := func(track strategy.Track, cookie string, turn int) {
		stay := slices.DeleteFunc(slices.Clone(have.servers), func(h server) bool { return h.track != track || find(want, h.name) == nil })
		if len(stay) == 0 || cookie == "" {
			return
		}
		changes = append(changes, change{command: fmt.Sprintf("set table %s key %s data.server_id %s", have.name, cookie, stay[turn%len(stay)].id)})
	}
	for turn, h := range leaving {
		if !slices.ContainsFunc(known, func(k heir) bool { return k.cookie == h.cookie }) {
			bequeath(h.track, h.cookie, turn)
		}
		for _, k := range known {
			if k.id == h.id {
				bequeath(h.track, k.cookie, turn)
			}
		}
	}
	return changes, nil
}
