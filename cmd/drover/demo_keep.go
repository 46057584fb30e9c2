package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/drover-dev/drover/strategy"
)

// idle is how long the kept demo waits between two looks while nothing is under way: time goes as in life then.
const idle = time.Second

// keep hands the release repository over to the user, and follows what they commit until ctx ends, which is the end
// that it is meant to have.
func (d *demo) keep(ctx context.Context) error {
	d.chapter("Your turn: the repository stays, and is followed until Ctrl-C")
	d.c.printf("%s\n", indent(handover(d.repo.bare)))
	d.timeline.start = time.Time{} // The clock begins anew with what they do.
	d.forge.opened = func(issue strategy.Issue) {
		d.c.printf("\n  The issue that would be opened:\n\n%s\n", indent("# "+issue.Title+"\n\n"+issue.Body))
	}
	said := ""
	for ctx.Err() == nil {
		now, err := d.stage.step(ctx)
		if err != nil {
			break
		}
		moving, err := d.pass(ctx, now)
		if ctx.Err() != nil {
			break
		}
		said = d.tellTrouble(err, said)
		if len(moving) == 0 && pause(ctx, idle) != nil {
			break
		}
	}
	d.c.printf("\nThe repository is left at %s\n", d.repo.bare)
	return nil
}

// tellTrouble says what is wrong with what the user committed, and with the last pass, once. It returns what it said.
func (d *demo) tellTrouble(err error, said string) string {
	var troubles []string
	for _, m := range d.loop.Mistakes() {
		troubles = append(troubles, m.Detail)
	}
	if err != nil {
		troubles = append(troubles, err.Error())
	}
	trouble := strings.Join(troubles, "\n")
	if trouble != said && trouble != "" {
		d.c.printf("\n%s\n", indent(trouble))
	}
	return trouble
}

// handover is what the user is told to do.
func handover(repository string) string {
	return fmt.Sprintf(`In another terminal, release a version of your own:

    git clone %s shop && cd shop
    sed -i.old 's/"1.1.0"/"1.4.0"/' %s
    git commit -am "Release checkout-api 1.4.0"
    git push

1.3.0 is slow, 1.5.0-crash ends at once, 1.5.0-sick never gets healthy, others are sound.
Or edit %s: weights, bakes, gates. Or: git revert HEAD && git push
After a rollback: git pull first, since Drover has committed the revert.
`, repository, demoReleasePath, demoPolicyPath)
}

// removeAllBut empties the demo's folder, save the repository that is kept.
func removeAllBut(dir, kept string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch rest, err := filepath.Rel(path, kept); {
		case path == kept:
		case err == nil && filepath.IsLocal(rest):
			if err := removeAllBut(path, kept); err != nil {
				return err
			}
		default:
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}
