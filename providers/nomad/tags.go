package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// keptBad is how many condemned versions of a job keep their tag.
const keptBad = 5

// note is what a tag of ours says besides its name, in the tag's description. A version has one tag, so a version that is
// both good and condemned says the one by the tag's name and the other here.
type note struct {
	About     string             `json:"about"`               // for people
	Condemned *strategy.Revision `json:"condemned,omitempty"` // what was condemned of this version
}

func (n note) String() string {
	text, err := json.Marshal(n)
	if err != nil {
		return n.About // Strings and numbers: it cannot fail.
	}
	return string(text)
}

// goodTag is the version tag that keeps the last good version.
func (c *Cluster) goodTag() string { return c.instance + "-good" }

func (c *Cluster) badPrefix() string { return c.instance + "-bad-" }

// badTag names the tag of a condemned revision. A second attempt at the same job is another revision.
func (c *Cluster) badTag(bad strategy.Revision) string {
	tag := c.badPrefix() + bad.Digest
	if bad.Attempt > 1 {
		tag += fmt.Sprintf("-%d", bad.Attempt)
	}
	return tag
}

// condemned is what the tags say of a version; nil when it was not condemned.
func (c *Cluster) condemned(v version) *strategy.Revision {
	tag := v.job.VersionTag
	if tag == nil || (tag.Name != c.goodTag() && !strings.HasPrefix(tag.Name, c.badPrefix())) {
		return nil
	}
	var said note
	if err := json.Unmarshal([]byte(tag.Description), &said); err != nil {
		return nil // A person wrote it.
	}
	return said.Condemned
}

// allCondemned is every revision that the tags of a job call condemned, the newest version first.
func (c *Cluster) allCondemned(all history) []strategy.Revision {
	var found []strategy.Revision
	for _, v := range all {
		if bad := c.condemned(v); bad != nil {
			found = append(found, *bad)
		}
	}
	return found
}

// lastGood is the version with the tag, else the newest one before the live one that Nomad calls stable and nobody
// condemned.
func (c *Cluster) lastGood(all history) (version, bool) {
	if v, ok := all.tagged(c.goodTag()); ok {
		return v, true
	}
	for _, v := range all[1:] {
		if deref(v.job.Stable) && !v.stopped() && c.condemned(v) == nil {
			return v, true
		}
	}
	return version{}, false
}

// MarkGood moves the tag of the last good version to this one, so that Nomad keeps it. A version has one tag: another
// one that it carries is replaced, and what it said of a condemned revision goes on being said. When it is cut off between
// taking the tag away and giving it, it must be called again.
func (c *Cluster) MarkGood(ctx context.Context, job strategy.JobRef, number uint64) error {
	all, err := c.history(ctx, job)
	if err != nil {
		return fmt.Errorf("mark version %d of job %s good: %w", number, job, err)
	}
	wanted, ok := all.find(number)
	if !ok {
		return fmt.Errorf("mark version %d of job %s good: nomad does not keep that version", number, job)
	}
	tag := c.goodTag()
	if before, tagged := all.tagged(tag); tagged {
		if before.number() == number {
			return nil
		}
		if err := c.strip(ctx, job, all, tag); err != nil {
			return fmt.Errorf("mark version %d of job %s good: %w", number, job, err)
		}
		if bad := c.condemned(before); bad != nil {
			if err := c.tag(ctx, job, before, c.badTag(*bad), note{About: "condemned by " + c.instance, Condemned: bad}); err != nil {
				return fmt.Errorf("mark version %d of job %s good: %w", number, job, err)
			}
		}
	}
	good := note{About: "the last revision that " + c.instance + " promoted", Condemned: c.condemned(wanted)}
	if err := c.tag(ctx, job, wanted, tag, good); err != nil {
		return fmt.Errorf("mark version %d of job %s good: %w", number, job, err)
	}
	return nil
}

// MarkBad tags the version of a condemned revision, so that it is known without the ledger, and takes the tag off all but
// the newest five. A version that keeps the way back keeps the name of its tag. One that Nomad does not have any more is
// no error. When it is cut off in between, one tag too many may stay until the next call.
func (c *Cluster) MarkBad(ctx context.Context, job strategy.JobRef, number uint64, bad strategy.Revision) error {
	failed := func(err error) error { return fmt.Errorf("mark version %d of job %s bad: %w", number, job, err) }
	if bad.Digest == "" {
		return failed(errors.New("the revision has no digest"))
	}
	all, err := c.history(ctx, job)
	if err != nil {
		return failed(err)
	}
	wanted, ok := all.find(number)
	if !ok {
		return nil
	}
	tag := c.badTag(bad)
	if wanted.tag() == c.goodTag() {
		tag = c.goodTag()
	}
	elsewhere := slices.ContainsFunc(all, func(v version) bool { return v.tag() == tag && v.number() != number })
	if elsewhere {
		if err := c.strip(ctx, job, all, tag); err != nil {
			return failed(err)
		}
	}
	if said := c.condemned(wanted); elsewhere || said == nil || *said != bad || wanted.tag() != tag {
		if err := c.tag(ctx, job, wanted, tag, note{About: "condemned by " + c.instance, Condemned: &bad}); err != nil {
			return failed(err)
		}
	}
	if err := c.trimBad(ctx, job, all, wanted, tag); err != nil {
		return failed(err)
	}
	return nil
}

// trimBad takes the bad tags off all but the newest versions, after one was tagged.
func (c *Cluster) trimBad(ctx context.Context, job strategy.JobRef, all history, wanted version, tag string) error {
	kept := 0
	for _, v := range all {
		bad := strings.HasPrefix(v.tag(), c.badPrefix()) && v.tag() != tag
		if v.number() == wanted.number() {
			bad = strings.HasPrefix(tag, c.badPrefix())
		}
		if !bad {
			continue
		}
		if kept++; kept <= keptBad || v.number() == wanted.number() {
			continue
		}
		if err := c.untag(ctx, job, v.tag()); err != nil {
			return err
		}
	}
	return nil
}

// tag gives a version a tag, in place of any that it has.
func (c *Cluster) tag(ctx context.Context, job strategy.JobRef, v version, name string, says note) error {
	if before := v.tag(); before != "" && before != c.goodTag() && !strings.HasPrefix(before, c.badPrefix()) {
		c.logger.WarnContext(ctx, "version tag replaced", "job", job.String(), "version", v.number(), "tag", before)
	}
	if _, err := c.client.Jobs().TagVersion(job.ID, v.number(), name, says.String(), write(ctx, job.Namespace)); err != nil {
		return fmt.Errorf("give version %d the tag %s: %w", v.number(), name, err)
	}
	return nil
}

// strip takes a tag off every version that has it. The version that scaling makes has the tag of the one that was scaled, and
// Nomad takes it off one of them at a time.
func (c *Cluster) strip(ctx context.Context, job strategy.JobRef, all history, name string) error {
	for _, v := range all {
		if v.tag() != name {
			continue
		}
		if err := c.untag(ctx, job, name); err != nil {
			return err
		}
	}
	return nil
}

// untag takes a tag off a version that has it. One that none has is no error: somebody was faster.
func (c *Cluster) untag(ctx context.Context, job strategy.JobRef, name string) error {
	path := jobPath(job.ID, "/versions/"+url.PathEscape(name)+"/tag")
	_, err := c.client.Raw().Delete(path, nil, write(ctx, job.Namespace))
	if err != nil && !isNotFound(err) && !strings.Contains(bodyOf(err), "not found on job") {
		return fmt.Errorf("take the tag %s off its version: %w", name, err)
	}
	return nil
}

// oldest is the end of the unbroken run of versions that Nomad keeps: below it only single ones are left, those with a
// tag and the last that was stable.
func (h history) oldest() uint64 {
	number := h.live().number()
	for _, v := range h[1:] {
		if v.number()+1 != number {
			break
		}
		number = v.number()
	}
	return number
}

// counts is the live count of every group.
func counts(job *api.Job) map[string]int {
	all := map[string]int{}
	for _, group := range job.TaskGroups {
		all[deref(group.Name)] = groupCount(group)
	}
	return all
}
