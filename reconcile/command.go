package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/drover-dev/drover/strategy"
)

// request is what a person asks for, and who waits for the answer.
type request struct {
	command strategy.Command
	answers chan answer
}

type answer struct {
	rollout strategy.Rollout
	err     error
}

// answer tells the person what became of the request. There may be none.
func (r *request) answer(rollout strategy.Rollout, err error) {
	if r != nil {
		r.answers <- answer{rollout, err}
	}
}

// Do has a person's command obeyed in the next pass, and returns the rollout after it. It may be called at any time, and
// blocks until that pass or the end of ctx. The command may be under way when ctx ends first; it is not begun after.
func (l *Loop) Do(ctx context.Context, release string, command strategy.Command) (strategy.Rollout, error) {
	if err := unfit(release, command); err != nil {
		return strategy.Rollout{}, err
	}
	r := &request{command: command, answers: make(chan answer, 1)}
	l.mu.Lock()
	if l.asked[release] != nil {
		l.mu.Unlock()
		return strategy.Rollout{}, fmt.Errorf("%s %q: another command for it is being obeyed: try again", command.Kind, release)
	}
	l.asked[release] = r
	l.mu.Unlock()
	l.Wake()
	select {
	case <-ctx.Done():
		l.withdraw(release, r)
		return strategy.Rollout{}, fmt.Errorf("%s %q: nobody obeyed; another instance may lead: %w", command.Kind, release, ctx.Err())
	case a := <-r.answers:
		return a.rollout, a.err
	}
}

// releaseCommands are the commands that are of a release.
var releaseCommands = []string{
	string(strategy.CommandPause), string(strategy.CommandResume), string(strategy.CommandAbort), string(strategy.CommandApprove), string(strategy.CommandRetry),
}

// unfit says what is wrong with a command, whatever the release does. One that names no release would be taken for
// accept-head, which is of none.
func unfit(release string, command strategy.Command) error {
	switch ofHead := command.Kind == strategy.CommandAcceptHead; {
	case !ofHead && !slices.Contains(releaseCommands, string(command.Kind)):
		all := append(slices.Clone(releaseCommands), string(strategy.CommandAcceptHead))
		return fmt.Errorf("there is no command %q%s", command.Kind, strategy.Meant(string(command.Kind), all))
	case ofHead && release != "":
		return fmt.Errorf("%s is of no release, but %q is named", command.Kind, release)
	case !ofHead && release == "":
		return fmt.Errorf("%s: no release is named", command.Kind)
	case command.By == "":
		return fmt.Errorf("%s %q: it does not say who asks", command.Kind, release)
	}
	return nil
}

// withdraw takes back a request that nobody waits for any more: it must not be obeyed when this instance leads again.
func (l *Loop) withdraw(release string, r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked[release] == r {
		delete(l.asked, release)
	}
}

// isAsked tells whether a person waits for the release.
func (l *Loop) isAsked(release string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[release] != nil
}

// take is the request for the release, once.
func (l *Loop) take(release string) *request {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.asked[release]
	delete(l.asked, release)
	return r
}

// attend puts into the observation what a person asks of the release, and why it may not begin a rollout, which a retry does
// not heed, unless something else is said of that already. It returns who waits for the answer; nil when nobody does.
func (l *Loop) attend(release string, o *strategy.Observation, wait *refusal) *request {
	person := l.take(release)
	if person != nil {
		o.Command = &person.command
	}
	if wait != nil && o.Wait == nil && (person == nil || person.command.Kind != strategy.CommandRetry) {
		o.Wait = &wait.Reason
	}
	return person
}

// refuseUnknown answers requests for releases that there are none of.
func (l *Loop) refuseUnknown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for release, r := range l.asked {
		if release != "" && l.releases[release] == nil {
			delete(l.asked, release)
			r.answer(strategy.Rollout{}, fmt.Errorf("there is no release %q, neither in Git nor in the ledger%s", release, strategy.Meant(release, slices.Sorted(maps.Keys(l.releases)))))
		}
	}
}
