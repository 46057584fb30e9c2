package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// reviewTime bounds what is spent on one pull request.
	reviewTime = time.Minute
	// reviewsAtOnce bounds how many pull requests are looked at in one go.
	reviewsAtOnce = 20
	// planContext ends the context of the status on pull requests; the instance begins it.
	planContext = "plan"
)

// desk is what is known of the open pull requests. Reviews alone use it.
type desk struct {
	mu   sync.Mutex // one review at a time
	seen map[int]reviewed
	base *base
	wake chan struct{}
}

// reviewed is what was said of a pull request.
type reviewed struct {
	head, base string
	status     strategy.Status
	remark     string
	stands     map[string]string // where its releases stood
	next       time.Time         // after a failure
	pause      time.Duration
}

// settle notes what a pull request was looked at with, and when to look again where not all was said.
func (r *reviewed) settle(head, base string, whole bool, err error, now time.Time) {
	if err == nil {
		r.head, r.base, r.next = head, base, time.Time{}
	}
	if err == nil && whole {
		r.pause = 0
		return
	}
	r.pause = min(max(2*r.pause, errandPause), longestPause)
	r.base, r.next = "", now.Add(r.pause)
	var at later
	if errors.As(err, &at) {
		r.next = at.RetryAt()
	}
}

func newDesk() *desk { return &desk{seen: map[int]reviewed{}, wake: make(chan struct{}, 1)} }

// LookAtPulls has the pull requests looked at soon. It never blocks.
func (l *Loop) LookAtPulls() {
	select {
	case l.desk.wake <- struct{}{}:
	default:
	}
}

// Review says on every open pull request to the release branch what merging it would do. It works on those that changed
// since it looked last, so many at a time; left tells that there are more. It may run beside Pass and Deliver. The error
// joins what went wrong with single pull requests; they are tried again.
func (l *Loop) Review(ctx context.Context, now time.Time) (left bool, err error) {
	l.desk.mu.Lock()
	defer l.desk.mu.Unlock()
	pulls, canList := l.opts.Forge.(Pulls)
	refs, canRead := l.opts.Repository.(Refs)
	head := l.intent.now()
	if !canList || !canRead || head.SHA == "" {
		return false, nil
	}
	open, err := pulls.Pulls(ctx)
	if err != nil {
		return false, err
	}
	var failures []error
	still, done := map[int]reviewed{}, 0
	for _, p := range open {
		known, ok := l.desk.seen[p.Number]
		switch {
		case ok && known.head == p.Head && known.base == head.SHA && !l.moved(known.stands), now.Before(known.next):
		case done == reviewsAtOnce:
			left = true
		default:
			done++
			whole, err := l.reviewOne(ctx, refs, head, p, &known, now)
			if err != nil {
				failures = append(failures, fmt.Errorf("pull request %d: %w", p.Number, err))
			}
			known.settle(p.Head, head.SHA, whole, err, now)
		}
		still[p.Number] = known
	}
	l.desk.seen = still
	return left, errors.Join(failures...)
}

// reviewOne says what one pull request would do, where that is not what was said before; whole tells whether all is said that
// can be.
func (l *Loop) reviewOne(ctx context.Context, refs Refs, head strategy.Commit, p strategy.Pull, known *reviewed, now time.Time) (whole bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTime)
	defer cancel()
	plan, err := l.planOf(ctx, refs, head, p, now)
	if err != nil {
		return false, err
	}
	status, remark := plan.status(), plan.remark()
	status.Context, status.URL = l.opts.Instance+"/"+planContext, p.URL
	// The comment comes first: a status that is there says that it is too. Where no release changes none is made, but one
	// that stands there from an earlier state is brought up to date.
	if known.head == "" || remark != known.remark {
		err := l.opts.Forge.(Pulls).Comment(ctx, p.Number, l.remarkMarker(), func(old string) string {
			if remark == "" && old == "" {
				return ""
			}
			return withPlan(old, orText(remark, "This pull request changes no release any more."))
		})
		if err != nil && !errors.Is(err, strategy.ErrRefused) {
			return false, fmt.Errorf("write the comment: %w", err)
		}
		known.remark = remark
	}
	if statuses, ok := l.opts.Forge.(Statuses); ok && (known.head != p.Head || known.status != status) {
		err := statuses.SetStatus(ctx, p.Head, status)
		if err != nil && !errors.Is(err, strategy.ErrRefused) {
			return false, fmt.Errorf("set the status: %w", err)
		}
		known.status = status
	}
	known.stands = map[string]string{}
	for _, c := range plan.changes {
		known.stands[c.release] = standText(c.stand)
	}
	return !plan.away, nil
}

// standText is what of a release's record a plan for it rests on.
func standText(r strategy.Rollout) string {
	text := fmt.Sprint(r.Stable.Revision, len(r.Condemned), r.Parked)
	if !r.AtRest() {
		text += fmt.Sprint(r.Canary.Revision)
	}
	return text
}

// moved tells whether a release of a plan stands elsewhere by now.
func (l *Loop) moved(stands map[string]string) bool {
	for release, stood := range stands {
		if standText(l.standOf(release)) != stood {
			return true
		}
	}
	return false
}

func orText(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

// review looks at the pull requests until ctx is done: at every poll, and when it is woken.
func (l *Loop) review(ctx context.Context) {
	for ctx.Err() == nil {
		left, err := l.Review(ctx, time.Now())
		pause := jittered(max(l.opts.Poll, minReview))
		var at later
		switch {
		case errors.As(err, &at):
			l.log.Warn("pull requests not reviewed", "error", err)
		case err != nil && ctx.Err() == nil:
			l.log.Error("pull requests not reviewed", "error", err)
		case left:
			pause = tick
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-l.desk.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// minReview is how often the pull requests are asked for at most when nothing wakes the review.
const minReview = 5 * time.Second
