package reconcile_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/drover-dev/drover/providers/sim"
	"github.com/drover-dev/drover/strategy"
)

var update = flag.Bool("update", false, "write the histories of the scenarios anew; read them before they are committed")

// TestScenarios plays every script of testdata/scenarios on the real loop, the simulated Nomad behind Nomad's own
// client, and a release repository in memory, in a time that is passed in. A script is a sequence of lines:
//
//	release NAME VERSION [attempt=N]   a person commits that version of a release
//	commit "SUBJECT" FOLDER            a person commits the archive's files below FOLDER; empty ones are deleted
//	undo                               a person reverts the newest commit
//	wait DURATION                      time goes by, Drover looks once a second
//	until NAME KEY=VALUE …             wait until it is so, an hour at most
//	expect NAME KEY=VALUE …            it is so now; keys: phase step weight stable last hold reason
//	expect NAME file-has=TEXT          the release's file at the head holds the text
//	behave VERSION sound|crash|sick|errors=8%|latency=250ms
//	lose|crash NAME canary|stable      the newest such allocation loses its node, or its task exits
//	nomad|router|meter|git|forge down|up
//	promote refuse|accept              Nomad refuses to promote deployments, or does not
//	nomad|git denied                   it answers, and rejects Drover's credentials, until it is up
//	nodes N                            room for so many allocations; 0 is no limit
//	register NAME VERSION [bare]       a person registers the job by hand; bare: without its source
//	stop NAME [purge]                  a person stops the job; purge: nothing is left of it, as some hours later
//	person pause|resume|approve|abort|retry NAME   a person commands it through the daemon
//	rollback NAME                      a person has Drover commit the way back
//	smoke "ANSWER"                     what the canaries answer to smoke checks is quoted so; "" when it is as expected
//	push refuse|accept                 the remote protects the branch, or does not
//	race "SUBJECT" NAME VERSION        a person's commit lands just before Drover's next push
//	load RPS                           so many requests a second from now on
//	connect NAME N DURATION            users open so many connections, divided as requests are, and keep them for so long
//	force N "SUBJECT" NAME VERSION     a person throws the newest N commits away, and commits a version of a release
//	accept-head                        a person accepts the head that was forced
//	limits ACTIVE FAILURES             Drover is started anew with these limits
//	prune on|off                       Drover is started anew with that
//	scale NAME GROUP N                 a person scales a group by hand
//	count NAME N                       a person commits another count of the release's job
//	instance NAME                      another Drover, with a ledger of its own, takes the place of this one
//	forget                             the ledger is lost while Drover is away
//	wipe                               the records vanish under Drover's hands
//	restart                            Drover ends, and another one starts on the same ledger
//
// The history that follows it is what people see of it.
func TestScenarios(t *testing.T) {
	paths, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("find the scenarios: %d found, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			playScenario(t, path)
		})
	}
}

// scenario is a script being played.
type scenario struct {
	*world
	archive    *txtar.Archive
	history    *history
	behaviours map[string]sim.Behaviour
}

func playScenario(t *testing.T, path string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatalf("read the scenario: %v", err)
	}
	w := newWorld(t, 3000)
	s := &scenario{world: w, archive: archive, behaviours: map[string]sim.Behaviour{}}
	s.history = newHistory(w.clock)
	w.notify = s.history.decided
	number := 0
	for line := range strings.Lines(string(archive.Comment)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.play(line); err != nil {
			t.Fatalf("%s:%d: %s: %v\n%s", path, number, line, err, s.history.text.String())
		}
	}
	if n := w.traffic.Cut(); n > 0 {
		s.history.remark(fmt.Sprintf("%d connections were cut off", n))
	}
	if unknown := w.nomad.Unknown(); len(unknown) > 0 {
		t.Errorf("requests that the simulation does not know: %v", unknown)
	}
	if w.ledger.largest > recordLimit {
		t.Errorf("the largest record has %d bytes, more than %d", w.ledger.largest, recordLimit)
	}
	compareGolden(t, path, archive, s.history.text.String()+w.end())
}

func compareGolden(t *testing.T, path string, archive *txtar.Archive, got string) {
	t.Helper()
	const golden = "history"
	want := ""
	for i := range archive.Files {
		if archive.Files[i].Name == golden {
			want = string(archive.Files[i].Data)
			archive.Files[i].Data = []byte(got)
		}
	}
	if *update {
		if want == "" {
			archive.Files = append(archive.Files, txtar.File{Name: golden, Data: []byte(got)})
		}
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatalf("write the history: %v", err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the history differs (-want +got); -update writes it anew:\n%s", diff)
	}
}

func (s *scenario) tick() {
	s.world.tick()
	s.history.passed(s.failed)
}

// wait lets time go by. After the first minutes of a long wait Drover looks twice a minute only: nothing happens in it.
func (s *scenario) wait(d time.Duration) {
	const long, every = 5 * time.Minute, 30 * time.Second
	for begin, end := s.now, s.now.Add(d); s.now.Before(end); {
		if d > long && s.now.Sub(begin) >= long && end.Sub(s.now) > every {
			s.elapse(every - time.Second)
		}
		s.tick()
	}
}

// words are separated by spaces; those in quotes may hold some.
func words(line string) ([]string, error) {
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			out, line = append(out, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, err
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		out, line = append(out, word), line[len(quoted):]
	}
	return out, nil
}

func (s *scenario) play(line string) error {
	args, err := words(line)
	if err != nil {
		return err
	}
	verb, args := args[0], args[1:]
	if verb != "wait" && verb != "until" && verb != "expect" {
		s.history.remark(line)
	}
	verbs := map[string]struct {
		args int // at least
		do   func(args []string) error
	}{
		"release": {2, s.releaseVersion}, "commit": {2, s.commitFiles}, "undo": {0, s.undoLast}, "race": {3, s.raceNextPush}, "push": {1, s.answerPushes},
		"wait": {1, s.waitFor}, "until": {2, s.waitUntil}, "expect": {2, s.expect}, "restart": {0, s.restartDrover},
		"behave": {2, s.behave}, "lose": {2, s.loseAlloc}, "crash": {2, s.crashAlloc}, "nodes": {1, s.setNodes}, "load": {1, s.setLoad}, "connect": {3, s.connect},
		"nomad": {1, s.setNomad}, "promote": {1, s.setPromote}, "git": {1, s.setGit}, "forge": {1, s.setForge}, "router": {1, s.setRouter}, "meter": {1, s.setMeter}, "register": {2, s.registerByHand}, "person": {2, s.command}, "rollback": {1, s.rollback}, "smoke": {1, s.setSmoke}, "stop": {1, s.stopByHand},
		"force": {4, s.forceBranch}, "accept-head": {0, s.acceptHead}, "limits": {2, s.setLimits}, "prune": {1, s.setPrune}, "scale": {3, s.scaleByHand},
		"instance": {1, s.otherInstance}, "forget": {0, s.forget}, "wipe": {0, s.wipe}, "count": {2, s.commitCount},
	}
	known, ok := verbs[verb]
	switch {
	case !ok:
		return fmt.Errorf("there is no verb %q", verb)
	case len(args) < known.args:
		return fmt.Errorf("%s needs %d words", verb, known.args)
	}
	return known.do(args)
}

func (s *scenario) releaseVersion(args []string) error {
	name, version, more, subject := args[0], args[1], "", "Release "+args[0]+" "+args[1]
	if len(args) > 2 {
		attempt, ok := strings.CutPrefix(args[2], "attempt=")
		if !ok {
			return fmt.Errorf("%q is not attempt=N", args[2])
		}
		more, subject = "  attempt = "+attempt+"\n", subject+" again"
	}
	files := releaseFiles(s.t, name, version)
	files[releasePath(name)] = releaseText(name, version, more)
	if s.repo.content(jobspecPath(name)) != "" {
		delete(files, jobspecPath(name)) // A person edits the one line.
	}
	s.repo.commit(person, subject, files)
	return nil
}

func (s *scenario) commitFiles(args []string) error {
	files := map[string]string{}
	for _, f := range s.archive.Files {
		if path, ok := strings.CutPrefix(f.Name, args[1]+"/"); ok {
			files[path] = string(f.Data)
		}
	}
	if len(files) == 0 {
		return fmt.Errorf("the archive has no file below %s/", args[1])
	}
	s.repo.commit(person, args[0], files)
	return nil
}

// command has a person's command obeyed. Time stands still meanwhile.
func (s *scenario) command(args []string) error {
	done := make(chan error, 1)
	go func() {
		_, err := s.loop.Do(s.t.Context(), args[1], strategy.Command{Kind: strategy.CommandKind(args[0]), By: person})
		done <- err
	}()
	for {
		select {
		case err := <-done:
			s.history.passed(s.failed)
			return err
		default:
			_, s.failed = s.loop.Pass(s.t.Context(), s.now)
		}
	}
}

func (s *scenario) rollback(args []string) error {
	_, err := s.loop.Rollback(s.t.Context(), args[0], person)
	return err
}

func (s *scenario) setSmoke(args []string) error { s.smoke = args[0]; return nil }

func (s *scenario) undoLast([]string) error { s.repo.undo(person); return nil }

func (s *scenario) raceNextPush(args []string) error {
	s.repo.race = append(s.repo.race, func() {
		s.repo.commit(person, args[0], map[string]string{releasePath(args[1]): releaseText(args[1], args[2], "")})
	})
	return nil
}

func (s *scenario) answerPushes(args []string) error {
	s.repo.refuse = map[string]string{"refuse": "protected branch hook declined"}[args[0]]
	return nil
}

func (s *scenario) waitFor(args []string) error {
	d, err := time.ParseDuration(args[0])
	s.wait(d)
	return err
}

func (s *scenario) waitUntil(args []string) error {
	var err error
	for end := s.now.Add(time.Hour); s.now.Before(end); s.tick() {
		if err = s.expect(args); err == nil {
			return nil
		}
	}
	return err
}

func (s *scenario) expect(args []string) error {
	r := s.rollout(args[0])
	seen := map[string]string{
		"phase": string(r.Phase), "step": strconv.Itoa(r.Step + 1), "weight": r.Weight.String(), "stable": orNone(r.Stable.Revision.Version),
		"last": orNone(string(r.Last.Kind)), "hold": "none", "reason": string(r.Reason.Code),
	}
	if r.Hold != nil {
		seen["hold"] = string(r.Hold.Reason.Code)
	}
	for _, wanted := range args[1:] {
		key, want, _ := strings.Cut(wanted, "=")
		if key == "file-has" {
			if text := s.repo.content(releasePath(args[0])); !strings.Contains(text, want) {
				return fmt.Errorf("the file of %s does not hold %q:\n%s", args[0], want, text)
			}
			continue
		}
		got, ok := seen[key]
		if !ok {
			return fmt.Errorf("there is no key %q", key)
		}
		if got != want {
			return fmt.Errorf("%s of %s is %s, want %s (%s)", key, args[0], got, want, r.Reason.Text)
		}
	}
	return nil
}

func (s *scenario) connect(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	lasting, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	s.traffic.Connect(args[0], n, lasting)
	return nil
}

func (s *scenario) restartDrover([]string) error { s.restart(); return nil }

func (s *scenario) behave(args []string) error {
	b := sim.DemoBehaviour(sim.Task{})
	key, value, _ := strings.Cut(args[1], "=")
	switch key {
	case "sound":
	case "crash":
		b.Crash = true
	case "sick":
		b.Sick = true
	case "errors":
		share, err := strategy.ParseWeight(value)
		if err != nil {
			return err
		}
		b.ErrorRate = share.Share()
	case "latency":
		median, err := time.ParseDuration(value)
		if err != nil {
			return err
		}
		b.Latency = sim.Latency{Median: median, Sigma: 0.3}
	default:
		return fmt.Errorf("there is no behaviour %q", args[1])
	}
	s.behaviours[args[0]] = b
	s.nomad.SetBehaviour(func(t sim.Task) sim.Behaviour {
		if b, ok := s.behaviours[t.Version]; ok {
			return b
		}
		return sim.DemoBehaviour(t)
	})
	return nil
}

func (s *scenario) newest(args []string) (string, error) {
	ids, err := s.allocs(args[0], args[1] == "canary")
	if err != nil {
		return "", err
	}
	if len(ids) == 0 {
		return "", fmt.Errorf("no %s allocation of %s runs", args[1], args[0])
	}
	return ids[len(ids)-1], nil
}

func (s *scenario) loseAlloc(args []string) error {
	id, err := s.newest(args)
	if err != nil {
		return err
	}
	return s.nomad.LoseAlloc(id)
}

func (s *scenario) crashAlloc(args []string) error {
	id, err := s.newest(args)
	if err != nil {
		return err
	}
	return s.nomad.CrashAlloc(id)
}

func (s *scenario) setNodes(args []string) error {
	n, err := strconv.Atoi(args[0])
	s.nomad.SetNodes(n)
	return err
}

func (s *scenario) setLoad(args []string) error {
	rps, err := strconv.ParseFloat(args[0], 64)
	s.traffic.SetLoad(sim.Load{RPS: rps})
	return err
}

func (s *scenario) setNomad(args []string) error {
	s.nomad.Unavailable(args[0] == "down")
	s.denied.on.Store(args[0] == "denied")
	return nil
}

func (s *scenario) setPromote(args []string) error {
	s.denied.promote.Store(args[0] == "refuse")
	return nil
}

func (s *scenario) setGit(args []string) error {
	s.repo.away = map[string]error{"down": errors.New("no answer"), "denied": fmt.Errorf("%w: check the token", strategy.ErrDenied)}[args[0]]
	return nil
}

func (s *scenario) setForge(args []string) error { s.forge.away = args[0] == "down"; return nil }
func (s *scenario) setMeter(args []string) error { s.blindMeter = args[0] == "down"; return nil }

// setRouter is what befalls the router: down, refuses, up, still (it follows nothing by itself), restarts, edited RELEASE WEIGHT, and
// heeds PERCENT of every weight.
func (s *scenario) setRouter(args []string) error {
	switch args[0] {
	case "still":
		s.traffic.HoldStill()
	case "restarts":
		s.traffic.Forget()
	case "heeds":
		percent, err := strconv.Atoi(strings.TrimSuffix(args[1], "%"))
		s.traffic.Skew(percent)
		return err
	case "edited":
		state, err := s.traffic.Read(s.t.Context(), args[1])
		if err != nil {
			return err
		}
		edited := state.Splits[0]
		if edited.Weight, err = strategy.ParseWeight(args[2]); err != nil {
			return err
		}
		return s.traffic.Apply(s.t.Context(), edited)
	case "up", "down", "refuses":
		s.deafRouter, s.refusing = args[0] == "down", args[0] == "refuses"
	default:
		return fmt.Errorf("a router is not %q", args[0])
	}
	return nil
}

func (s *scenario) registerByHand(args []string) error {
	err := s.register(args[0], args[1], len(args) == 2)
	s.changed(args[0])
	return err
}

func (s *scenario) stopByHand(args []string) error {
	_, _, err := s.client.Jobs().Deregister(args[0], len(args) == 2, nil)
	s.changed(args[0])
	return err
}

// changed tells Drover of a change by others, as Nomad's events do.
func (s *scenario) changed(job string) {
	s.loop.Touch(strategy.JobRef{Namespace: "default", ID: job})
}

func (s *scenario) scaleByHand(args []string) error {
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	_, _, err = s.client.Jobs().Scale(args[0], args[1], &count, "by hand", false, nil, nil)
	s.changed(args[0])
	return err
}

func (s *scenario) forceBranch(args []string) error {
	back, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	s.repo.force(person, args[1], back, map[string]string{releasePath(args[2]): releaseText(args[2], args[3], "")})
	return nil
}

func (s *scenario) acceptHead([]string) error {
	return s.command([]string{string(strategy.CommandAcceptHead), ""})
}

func (s *scenario) setLimits(args []string) error {
	var err error
	if s.limits.MaxActive, err = strconv.Atoi(args[0]); err != nil {
		return err
	}
	s.limits.MaxFailures, err = strconv.Atoi(args[1])
	s.restart()
	return err
}

func (s *scenario) setPrune(args []string) error {
	s.prune = args[0] == "on"
	s.restart()
	return nil
}

func (s *scenario) otherInstance(args []string) error {
	s.instance, s.ledger = args[0], newLedger()
	s.restart()
	return nil
}

func (s *scenario) commitCount(args []string) error {
	s.repo.commit(person, "Count "+args[1], map[string]string{jobspecPath(args[0]): withCount(s.repo.content(jobspecPath(args[0])), args[1])})
	return nil
}

func (s *scenario) forget([]string) error {
	s.ledger = newLedger()
	s.restart()
	return nil
}

func (s *scenario) wipe([]string) error {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	clear(s.ledger.records)
	return nil
}

// job is the job of a release as Nomad has it, nil when there is none.
func (w *world) job(release string) *api.Job {
	ref := w.rollout(release).Job
	job, _, err := w.client.Jobs().Info(ref.ID, &api.QueryOptions{Namespace: ref.Namespace})
	if err != nil {
		return nil
	}
	return job
}

// versionOf is the version that a job passes to its task.
func versionOf(job *api.Job) string {
	args, _ := job.TaskGroups[0].Tasks[0].Config["args"].([]any)
	for i, a := range args {
		if a == "-version" && i+1 < len(args) {
			return fmt.Sprint(args[i+1])
		}
	}
	return ""
}
