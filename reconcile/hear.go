package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// hears is how far back words are looked at: a command that is older is not obeyed.
	hears = 24 * time.Hour
	// commandWait bounds how long a command from a word waits for its pass.
	commandWait = 30 * time.Second
	// maxWord bounds how much of a word is read, in bytes.
	maxWord = 4 << 10
)

// wordCommands are the commands that people may give below a pull request.
var wordCommands = []strategy.CommandKind{strategy.CommandApprove, strategy.CommandPause, strategy.CommandResume, strategy.CommandAbort}

// spokenCommand is one line of a word that commands Drover.
type spokenCommand struct {
	kind    strategy.CommandKind
	release string // "" for those of the pull request
}

// commandsOf reads the lines "/drover COMMAND [RELEASE]" of a word. What is quoted or in code is none.
func commandsOf(text string) []spokenCommand {
	var commands []spokenCommand
	code := false
	for line := range strings.Lines(text[:min(len(text), maxWord)]) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		}
		words := strings.Fields(line)
		if code || len(words) < 2 || len(words) > 3 || words[0] != "/drover" || strings.HasPrefix(line, "    ") {
			continue
		}
		c := spokenCommand{kind: strategy.CommandKind(words[1])}
		if len(words) == 3 {
			c.release = words[2]
		}
		commands = append(commands, c)
	}
	return commands
}

// Hear obeys what people with write permission command below pull requests, and answers there. A word is obeyed once:
// the answer below it says that it was, whichever process gave it, and one that was given before the rollout that it
// would change began is void. It may run beside Pass, which it waits for, Deliver and Review.
func (l *Loop) Hear(ctx context.Context, now time.Time) error {
	forge, ok := l.opts.Forge.(Words)
	if !ok {
		return nil
	}
	words, err := forge.Words(ctx, now.Add(-hears))
	if err != nil {
		return err
	}
	heard := map[int64]bool{}
	var failures []error
	for _, w := range words {
		commands := commandsOf(w.Text)
		switch {
		case w.Mine || len(commands) == 0 || now.Sub(w.At) > hears:
			continue
		case l.heard[w.ID]:
			heard[w.ID] = true
			continue
		}
		if err := l.hear(ctx, forge, w, commands); err != nil {
			failures = append(failures, fmt.Errorf("word of %s below %d: %w", w.Author, w.Pull, err))
			continue
		}
		heard[w.ID] = true
	}
	l.heard = heard
	return errors.Join(failures...)
}

// hear obeys one word, unless it was answered.
func (l *Loop) hear(ctx context.Context, forge Words, w strategy.Word, commands []spokenCommand) error {
	if answered, err := forge.IsAnswered(ctx, w.ID); err != nil || answered {
		return err
	}
	may, err := forge.MayCommand(ctx, w.Author)
	if err != nil {
		return err
	}
	answer := strategy.AnswerRefused
	if may {
		answer = strategy.AnswerDone
		for _, c := range commands {
			done, err := l.obeyWord(ctx, w, c)
			if err != nil {
				return err
			}
			if !done {
				answer = strategy.AnswerVoid
			}
		}
	}
	l.log.Info("word heard", "author", w.Author, "pull", w.Pull, "text", oneLine(w.Text[:min(len(w.Text), maxLogged)]), "answer", string(answer))
	err = forge.Answer(ctx, w.ID, answer)
	if errors.Is(err, strategy.ErrRefused) {
		return nil
	}
	return err
}

// maxLogged bounds how much of a word goes into the log, in bytes.
const maxLogged = 200

// obeyWord has a command obeyed by the releases that it means. done is false when it changed nothing.
func (l *Loop) obeyWord(ctx context.Context, w strategy.Word, c spokenCommand) (done bool, err error) {
	if !slices.Contains(wordCommands, c.kind) {
		return false, nil
	}
	releases, err := l.meant(ctx, w, c)
	if err != nil {
		return false, err
	}
	for _, release := range releases {
		waiting, cancel := context.WithTimeout(ctx, commandWait)
		rollout, err := l.Do(waiting, release, strategy.Command{Kind: c.kind, By: w.Author, Said: w.At})
		cancel()
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case waiting.Err() != nil && err != nil:
			return false, err // Perhaps another Drover leads; it obeys.
		case err == nil && strategy.Unobeyed(c.kind, rollout) == "":
			done = true
		}
	}
	return done, nil
}

// meant is the releases that a command is for: the one that it names, or those whose rollouts were begun by the pull
// request.
func (l *Loop) meant(ctx context.Context, w strategy.Word, c spokenCommand) (releases []string, err error) {
	for release, sha := range l.trials() {
		if c.release != "" {
			if release == c.release {
				releases = append(releases, release)
			}
			continue
		}
		pull, err := l.pullOf(ctx, sha)
		if err != nil {
			return nil, err
		}
		if pull.Number == w.Pull && pull.Number > 0 {
			releases = append(releases, release)
		}
	}
	slices.Sort(releases)
	return releases, nil
}

// trials is the commits whose rollouts are under way, by release.
func (l *Loop) trials() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.moving)
}

// listen hears until ctx is done: at every poll, and when it is woken.
func (l *Loop) listen(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.Hear(ctx, time.Now()); err != nil && ctx.Err() == nil {
			l.log.Warn("commands below pull requests not heard", "error", err)
		}
		timer := time.NewTimer(jittered(max(l.opts.Poll, minReview)))
		select {
		case <-ctx.Done():
		case <-l.words:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// ListenNow has Drover hear soon what was written below pull requests. It never blocks.
func (l *Loop) ListenNow() {
	select {
	case l.words <- struct{}{}:
	default:
	}
}

// PollNow has the next pass ask the repository, and makes it now. It never blocks.
func (l *Loop) PollNow() {
	l.mu.Lock()
	l.pollNow = true
	l.mu.Unlock()
	l.Wake()
}

// takePoll tells whether the repository is to be asked ahead of its time, once.
func (l *Loop) takePoll() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.pollNow
	l.pollNow = false
	return now
}

// showTrials keeps for Hear which rollouts are under way.
func (l *Loop) showTrials() {
	moving := map[string]string{}
	for name, t := range l.releases {
		if r := t.record.Rollout; !r.AtRest() && r.Canary.Commit.SHA != "" {
			moving[name] = r.Canary.Commit.SHA
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moving = moving
}
