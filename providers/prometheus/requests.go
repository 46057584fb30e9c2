package prometheus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/drover-dev/drover/strategy"
)

const (
	// lookback is how far before the last reading one is looked for: what is older has ended.
	lookback = 5 * time.Minute
	// memory is how long an allocation that is no longer there is asked for: its last reading may come late.
	memory = 10 * time.Minute
	// longestGap is the longest time that is caught up with after nobody counted.
	longestGap = 24 * time.Hour
)

// tally is what was counted of the requests of one release in one rollout. It is a value: one that could not be brought up
// to date stays as it was.
type tally struct {
	rollout   string
	since, at time.Time
	points    map[string]point // the last reading of every series
	seen      map[string]bool  // what was scraped before: by allocation and instance
	members   map[string]member
	bounds    []float64
	burst     float64 // how many errors come at a time; 0 when not known
	canary    strategy.Counters
	stable    strategy.Counters
	shadow    strategy.Counters // of copies of requests
	endpoints map[strategy.Track]map[string]strategy.Counters
}

// member is an allocation that counts.
type member struct {
	track  strategy.Track
	listed time.Time // when it was there last
	early  bool      // it was there when counting began
}

// requests brings the tally of a release up to date, and returns it as a sample.
func (m *Meter) requests(ctx context.Context, i strategy.Inquiry) (strategy.Sample, error) {
	if m.profile == nil {
		return strategy.Sample{}, errors.New("the router of this release has no meter, and metrics have no profile: name one in drover.hcl")
	}
	m.mu.Lock()
	was := m.tallies[i.Release]
	m.mu.Unlock()
	if was == nil || was.rollout != i.Rollout || i.Until[""].After(was.at) {
		until, begun := m.begins(i, "", !m.profile.Copied())
		if !begun {
			return strategy.Sample{At: i.Now, Every: m.scrape}, nil
		}
		was = &tally{rollout: i.Rollout, since: until, at: until}
	} else if i.Now.Sub(was.at) < m.pause() && !was.at.Equal(was.since) {
		return was.sample(i, m.scrape), nil
	}
	next := was.list(i)
	if err := m.advance(ctx, next, i); err != nil {
		return strategy.Sample{}, err
	}
	if was.points == nil && i.Until[""].IsZero() { // Before anything is judged.
		next.burst = m.burst(ctx, i)
	}
	m.mu.Lock()
	m.tallies[i.Release] = next
	m.mu.Unlock()
	sample := next.sample(i, m.scrape)
	if i.Latency && len(next.bounds) == 0 && next.canary.Requests+next.stable.Requests+next.shadow.Requests > 0 {
		return sample, fmt.Errorf("no latencies are known: no series matches %s", m.selector(m.profile.Latency, next, i, ""))
	}
	return sample, nil
}

// pause is how far apart readings are asked for at least.
func (m *Meter) pause() time.Duration { return max(time.Second, m.scrape/5) }

// from is when counting goes on for a gate.
func from(i strategy.Inquiry, gate string) time.Time {
	at := i.Until[gate]
	if at.IsZero() {
		at = i.Since
	}
	if at.IsZero() || at.After(i.Now) {
		return i.Now
	}
	if i.Now.Sub(at) > longestGap {
		return i.Now.Add(-longestGap)
	}
	return at
}

// begins is when counting goes on for a gate, and whether that is yet. What counts by allocation has counted copies of requests
// too, if there were any: it begins when all of these have been read.
func (m *Meter) begins(i strategy.Inquiry, gate string, byAlloc bool) (at time.Time, begun bool) {
	at = from(i, gate)
	if byAlloc && !i.Copied.IsZero() && i.Until[gate].IsZero() {
		if read := i.Copied.Add(m.scrape + slack); read.After(at) {
			at = read
		}
	}
	return at, !at.After(i.Now)
}

// list is a copy of the tally that knows the allocations that are there now.
func (t *tally) list(i strategy.Inquiry) *tally {
	next := *t
	next.points, next.seen, next.members = maps.Clone(t.points), maps.Clone(t.seen), maps.Clone(t.members)
	for _, c := range []*strategy.Counters{&next.canary, &next.stable, &next.shadow} {
		c.Buckets = slices.Clone(c.Buckets)
	}
	next.endpoints = map[strategy.Track]map[string]strategy.Counters{}
	for track, counted := range t.endpoints {
		next.endpoints[track] = maps.Clone(counted)
	}
	early := t.points == nil
	if early {
		next.points, next.seen, next.members = map[string]point{}, map[string]bool{}, map[string]member{}
	}
	for _, track := range []strategy.Track{strategy.Canary, strategy.Stable} {
		for _, id := range i.Track(track) {
			known, old := next.members[id]
			next.members[id] = member{track: track, listed: i.Now, early: known.early || (early && !old)}
		}
	}
	maps.DeleteFunc(next.members, func(_ string, m member) bool { return i.Now.Sub(m.listed) > memory })
	return &next
}

// sample is the tally as a meter gives it.
func (t *tally) sample(i strategy.Inquiry, scrape time.Duration) strategy.Sample {
	source := strategy.AskedSource + strconv.FormatInt(t.since.UnixMilli(), 36)
	series := func(track strategy.Track, c strategy.Counters) strategy.Series {
		return strategy.Series{Source: source, Since: t.since, Until: t.at, Track: track, Counters: padded(c, len(t.bounds))}
	}
	sample := strategy.Sample{
		At: i.Now, Every: scrape, Bounds: t.bounds, Burst: t.burst,
		Series: []strategy.Series{series(strategy.Canary, t.canary), series(strategy.Stable, t.stable)},
	}
	if i.Copies {
		sample.Series = append(sample.Series, series(strategy.Shadow, t.shadow))
	}
	if !i.Endpoints {
		return sample
	}
	for track, endpoints := range t.endpoints {
		for name, c := range endpoints {
			sample.Series = append(sample.Series, strategy.Series{Source: source, Since: t.since, Until: t.at, Track: track, Endpoint: name, Counters: c})
		}
	}
	return sample
}

// padded is counters with so many buckets.
func padded(c strategy.Counters, n int) strategy.Counters {
	buckets := make([]float64, n)
	copy(buckets, c.Buckets)
	c.Buckets = buckets
	return c
}

// advance asks what was counted since the tally was brought up to date last.
func (m *Meter) advance(ctx context.Context, t *tally, i strategy.Inquiry) error {
	if i.Latency && m.profile.Latency == "" {
		return fmt.Errorf("the profile of the metrics has no latencies: %s", m.profile.Lacks)
	}
	counters, err := m.read(ctx, m.profile.Requests, m.profile.Label, t, i)
	if err != nil {
		return fmt.Errorf("requests: %w", err)
	}
	if err := m.isFresh(ctx, counters, t, i); err != nil {
		return err
	}
	var times []reading
	if i.Latency {
		label := m.profile.LatencyLabel
		if label == "" {
			label = m.profile.Label
		}
		if times, err = m.read(ctx, m.profile.Latency, label, t, i); err != nil {
			return fmt.Errorf("latency: %w", err)
		}
	}
	return t.take(m, counters, times, i.Now)
}

// reading is one series with the track that it belongs to.
type reading struct {
	*model.SampleStream
	track  strategy.Track
	target string // what was scraped: the allocation, and the instance that told of it
	zero   bool   // what it shows first was counted since counting began
}

// read asks for the readings of all series of a selector since the last one of each.
func (m *Meter) read(ctx context.Context, selector, label string, t *tally, i strategy.Inquiry) ([]reading, error) {
	var all []reading
	tracks := []strategy.Track{""}
	if strings.Contains(selector, "${track}") {
		tracks = []strategy.Track{i.Trial(), strategy.Stable}
	}
	span := i.Now.Sub(t.at) + lookback
	for _, track := range tracks {
		query := m.selector(selector, t, i, track) + "[" + seconds(span) + "]"
		answer, err := m.query(ctx, query, i.Now)
		if err != nil {
			return nil, err
		}
		matrix, ok := answer.(model.Matrix)
		if !ok {
			return nil, fmt.Errorf("%s answers a %s: it has to select counters", query, answer.Type())
		}
		for _, stream := range matrix {
			one := reading{SampleStream: stream, track: track, target: "/" + string(stream.Metric["instance"])}
			if track == "" {
				id := t.member(string(stream.Metric[model.LabelName(label)]), i)
				if id == "" {
					continue
				}
				who := t.members[id]
				one.track, one.target, one.zero = who.track, id+one.target, who.track == strategy.Canary || !who.early
			}
			all = append(all, one)
		}
	}
	for n := range all {
		if when, there := all[n].first(); there && !when.After(t.at) {
			t.seen[all[n].target] = true
		}
	}
	for n := range all { // What begins to count beside what was seen before begins at zero.
		all[n].zero = all[n].zero || t.seen[all[n].target]
	}
	return all, nil
}

// first and last are the times of the first and the last reading.
func (r reading) first() (time.Time, bool) {
	switch {
	case len(r.Values) > 0:
		return r.Values[0].Timestamp.Time(), true
	case len(r.Histograms) > 0:
		return r.Histograms[0].Timestamp.Time(), true
	}
	return time.Time{}, false
}

func (r reading) last() time.Time {
	var newest time.Time
	if n := len(r.Values); n > 0 {
		newest = r.Values[n-1].Timestamp.Time()
	}
	if n := len(r.Histograms); n > 0 && r.Histograms[n-1].Timestamp.Time().After(newest) {
		newest = r.Histograms[n-1].Timestamp.Time()
	}
	return newest
}

// member is the allocation that a label tells of: its value is the id or the address, or holds the id.
func (t *tally) member(value string, i strategy.Inquiry) string {
	if _, known := t.members[value]; known {
		return value
	}
	for id, address := range i.Addresses {
		if address == value {
			return id
		}
	}
	for id := range t.members {
		if strings.HasSuffix(value, "-"+id) {
			return id
		}
	}
	return ""
}

// selector puts what Drover knows into a selector.
func (m *Meter) selector(text string, t *tally, i strategy.Inquiry, track strategy.Track) string {
	ids := slices.Sorted(maps.Keys(t.members))
	var addresses []string
	for _, id := range ids {
		if a := i.Addresses[id]; a != "" {
			addresses = append(addresses, quoted(a))
		}
	}
	return strings.NewReplacer("${allocs}", strings.Join(ids, "|"), "${addresses}", strings.Join(addresses, "|"),
		"${release}", i.Release, "${track}", string(track)).Replace(text)
}

// isFresh tells whether both tracks have a reading that is young enough. Where one has none, nothing is taken in: the next
// good reading holds it all. A track that is read and has no counters of requests has had none.
func (m *Meter) isFresh(ctx context.Context, all []reading, t *tally, i strategy.Inquiry) error {
	newest := map[strategy.Track]time.Time{}
	for _, r := range all {
		if at := r.last(); at.After(newest[r.track]) {
			newest[r.track] = at
		}
	}
	for _, track := range []strategy.Track{i.Trial(), strategy.Stable} {
		if len(i.Track(track)) == 0 || (track == strategy.Stable && i.Alone) {
			continue
		}
		at := newest[track]
		if at.IsZero() {
			read, err := m.isRead(ctx, i, track, len(all) > 0)
			if err != nil {
				return err
			}
			if !read {
				return fmt.Errorf("nothing is known of the %s: no series matches %s%s",
					track, m.selector(m.profile.Requests, t, i, track), m.elsewhere())
			}
			continue
		}
		if age := i.Now.Sub(at); age > 2*m.scrape+slack {
			return fmt.Errorf("the newest reading of the %s is %s old, and there is one every %s: does Prometheus still read it?", track, age.Round(time.Second), m.scrape)
		}
	}
	return nil
}

// elsewhere is what else was looked for, and what to see to.
func (m *Meter) elsewhere() string {
	switch {
	case m.profile.Label != "":
		return fmt.Sprintf(", nor any else its label %q: does Prometheus read it, and give it that label?", m.profile.Label)
	case m.profile.Source != "":
		return fmt.Sprintf(", nor any %s: does Prometheus read it?", m.profile.Source)
	}
	return ": does Prometheus read what counts it?"
}

// isRead tells whether Prometheus reads a track at all, though no request of it is counted: what counts by track is read
// when the other one is, or the source is there.
func (m *Meter) isRead(ctx context.Context, i strategy.Inquiry, track strategy.Track, other bool) (bool, error) {
	if m.profile.Label == "" {
		if other || m.profile.Source == "" {
			return other, nil
		}
		n, found, err := m.ask(ctx, "count("+m.profile.Source+")", i.Track(track), 0, i.Now)
		return found && n > 0, err
	}
	names := slices.Clone(i.Track(track))
	for _, id := range i.Track(track) {
		if a := i.Addresses[id]; a != "" {
			names = append(names, quoted(a))
		}
	}
	n, found, err := m.ask(ctx, fmt.Sprintf(`count({%s=~"(.+-)?(%s)"})`, m.profile.Label, strings.Join(names, "|")), names, 0, i.Now)
	return found && n > 0, err
}

// quoted is a text as a pattern of a selector.
func quoted(text string) string { return strings.ReplaceAll(regexp.QuoteMeta(text), `\`, `\\`) }

// slack is how long a reading takes to be there.
const slack = 2 * time.Second

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10) + "s"
}
