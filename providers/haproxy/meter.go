package haproxy

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// Sample is the counters of every server of the release in every process, one series each. HAProxy has no histogram of
// latencies: a gate on latency needs another meter. A request that got no answer, because no connection could be made or
// it broke, is an error.
func (r *Router) Sample(ctx context.Context, release string) (strategy.Sample, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sample := strategy.Sample{At: r.now()}
	series, problems := make([][]strategy.Series, len(r.sockets)), make([]error, len(r.sockets))
	var group sync.WaitGroup
	for i, s := range r.sockets {
		group.Go(func() { series[i], problems[i] = s.sample(ctx, r.backend(release), r.added) })
	}
	group.Wait()
	if err := errors.Join(problems...); err != nil {
		return strategy.Sample{}, fmt.Errorf("read the counters of %q from router %q: %w", release, r.name, err)
	}
	sample.Series = slices.Concat(series...)
	return sample, nil
}

func (s socket) sample(ctx context.Context, backend string, added map[string]time.Time) ([]strategy.Series, error) {
	started, err := s.started(ctx)
	if err != nil {
		return nil, err
	}
	rows, column, err := s.stats(ctx, backend, serverRows)
	if err != nil {
		return nil, err
	}
	var all []strategy.Series
	for _, row := range rows {
		one := server{name: row[column["svname"]]}
		for _, track := range []strategy.Track{strategy.Stable, strategy.Canary} {
			if strings.HasPrefix(one.name, string(track)+"-") {
				one.track = track
			}
		}
		if one.track == "" || row[column["pxname"]] != backend {
			continue
		}
		counters, err := readCounters(row, column)
		if err != nil {
			return nil, fmt.Errorf("understand the statistics of %s/%s in HAProxy at %s: %w", backend, one.name, s.name, err)
		}
		all = append(all, strategy.Series{
			Source: s.name + "@" + started + "/" + one.name, Since: added[s.name+" "+one.name], Track: one.track, Counters: counters,
		})
	}
	return all, nil
}

// What statistics are asked of.
const (
	backendRow = 2
	serverRows = 4
)

// stats is the statistics of a backend, with the number of each column.
func (s socket) stats(ctx context.Context, backend string, of int) (rows [][]string, column map[string]int, err error) {
	said, err := s.ask(ctx, fmt.Sprintf("show stat %s %d -1", backend, of))
	if err != nil {
		return nil, nil, err
	}
	rows, err = csv.NewReader(strings.NewReader(strings.TrimPrefix(said, "# "))).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, nil, fmt.Errorf("understand the statistics of HAProxy at %s: %w", s.name, errors.Join(err, errors.New("they are no table")))
	}
	column = map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	return rows[1:], column, nil
}

// started tells processes at one socket apart.
func (s socket) started(ctx context.Context) (string, error) {
	said, err := s.ask(ctx, "show info")
	if err != nil {
		return "", err
	}
	var start, pid string
	for line := range strings.Lines(said) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Start_time_sec":
			start = value
		case "Pid":
			pid = value
		}
	}
	return start + "." + pid, nil
}

func readCounters(row []string, column map[string]int) (strategy.Counters, error) {
	var problem error
	number := func(name string) float64 {
		i, found := column[name]
		if !found || row[i] == "" {
			return 0
		}
		n, err := strconv.ParseFloat(row[i], 64)
		if err != nil {
			problem = fmt.Errorf("%s: %w", name, err)
		}
		return n
	}
	unanswered := number("econ") + number("eresp")
	c := strategy.Counters{
		Requests: number("hrsp_2xx") + number("hrsp_3xx") + number("hrsp_4xx") + number("hrsp_5xx") + number("hrsp_other") + unanswered,
		Errors:   number("hrsp_5xx") + unanswered,
	}
	return c, problem
}
