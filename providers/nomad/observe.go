package nomad

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/drover-dev/drover/strategy"
)

// maxChecksAsked bounds how many allocations are asked for their checks at once.
const maxChecksAsked = 8

// Observe reads what runs of the job: its versions, deployment, allocations, registrations and checks. service is the
// one that takes traffic, "" for none. A job that does not exist is no error. It makes some six requests, and one more
// for every allocation that could be ready and has checks.
func (c *Cluster) Observe(ctx context.Context, ref strategy.JobRef, service string) (strategy.ClusterState, error) {
	all, err := c.history(ctx, ref)
	if err != nil {
		return strategy.ClusterState{}, unobserved(ref, err)
	}
	c.forget(ref, all)
	if len(all) == 0 {
		return strategy.ClusterState{}, nil
	}
	c.remember(ref, all)
	state, err := c.describe(ctx, ref, all, service)
	if err != nil {
		return strategy.ClusterState{}, unobserved(ref, err)
	}
	seen, err := c.scene(ctx, ref, all.live(), service)
	if err != nil {
		return strategy.ClusterState{}, unobserved(ref, err)
	}
	state.Deployment = deploymentState(seen.deployment)
	state.Unplaced = unplaced(seen.evaluations, all.live())
	state.Allocs = seen.allocs()
	if err := c.checkReadiness(ctx, ref, all.live(), state.Allocs); err != nil {
		return strategy.ClusterState{}, unobserved(ref, err)
	}
	return state, nil
}

// unobserved says why a job could not be read, and whether that is for our token.
func unobserved(ref strategy.JobRef, err error) error {
	if status := statusOf(err); status == http.StatusForbidden || status == http.StatusUnauthorized {
		return fmt.Errorf("observe job %s: %w: %w", ref, strategy.ErrDenied, err)
	}
	return fmt.Errorf("observe job %s: %w", ref, err)
}

// describe is the part of the state that the versions tell.
func (c *Cluster) describe(ctx context.Context, ref strategy.JobRef, all history, service string) (strategy.ClusterState, error) {
	live := all.live()
	now, err := c.identify(ctx, ref, all, live)
	if err != nil {
		return strategy.ClusterState{}, err
	}
	state := strategy.ClusterState{
		Exists:           true,
		Stopped:          live.stopped(),
		Version:          live.number(),
		ModifyIndex:      live.modifyIndex(),
		Marker:           now.marker,
		Revision:         now.revision,
		Condemned:        c.allCondemned(all),
		Oldest:           all.oldest(),
		Counts:           counts(live.job),
		ProgressDeadline: progressDeadline(live.job),
	}
	if good, ok := c.lastGood(all); ok {
		then, err := c.identify(ctx, ref, all, good)
		if err != nil {
			return strategy.ClusterState{}, err
		}
		state.LastGood = strategy.Installed{Revision: then.revision, Version: good.number()}
	}
	if good, ok := all.tagged(c.goodTag()); ok {
		state.GoodVersion, state.GoodTagged = good.number(), true
	}
	group, serving := servingGroup(live.job, service)
	if group != nil {
		state.Count, state.MaxParallel = groupCount(group), maxParallel(live.job, group)
	}
	state.Check = routerCheck(serving)
	for _, group := range live.job.TaskGroups {
		state.Services = append(state.Services, nomadServices(live.job, group)...)
	}
	return state, nil
}

// scene is what Nomad says of a job's doings at one moment.
type scene struct {
	live        version
	deployment  *api.Deployment // of the live version; nil when it has none
	members     map[string]bool // allocations of that deployment
	stubs       []*api.AllocationListStub
	addresses   map[string]string // by allocation, of the service that takes traffic
	evaluations []*api.Evaluation
}

func (c *Cluster) scene(ctx context.Context, ref strategy.JobRef, live version, service string) (scene, error) {
	s := scene{live: live, members: map[string]bool{}}
	latest, _, err := c.client.Jobs().LatestDeployment(ref.ID, query(ctx, ref.Namespace))
	if err != nil && !isNotFound(err) {
		return s, fmt.Errorf("read its deployment: %w", err)
	}
	if latest != nil && latest.ID != "" && latest.JobVersion == live.number() && latest.JobCreateIndex == deref(live.job.CreateIndex) {
		s.deployment = latest
		members, _, err := c.client.Deployments().Allocations(latest.ID, query(ctx, ref.Namespace))
		if err != nil {
			return s, fmt.Errorf("read the allocations of deployment %s: %w", latest.ID, err)
		}
		for _, alloc := range members {
			s.members[alloc.ID] = true
		}
	}
	if s.stubs, _, err = c.client.Jobs().Allocations(ref.ID, false, query(ctx, ref.Namespace)); err != nil {
		return s, fmt.Errorf("read its allocations: %w", err)
	}
	if s.evaluations, _, err = c.client.Jobs().Evaluations(ref.ID, query(ctx, ref.Namespace)); err != nil {
		return s, fmt.Errorf("read its evaluations: %w", err)
	}
	s.addresses, err = c.addresses(ctx, ref, service)
	return s, err
}

// addresses are where the allocations of a job take requests for a service, by allocation.
func (c *Cluster) addresses(ctx context.Context, ref strategy.JobRef, service string) (map[string]string, error) {
	found := map[string]string{}
	if service == "" {
		return found, nil
	}
	registrations, _, err := c.client.Services().Get(service, query(ctx, ref.Namespace))
	if err != nil && !isNotFound(err) {
		return nil, fmt.Errorf("read service %s: %w", service, err)
	}
	for _, r := range registrations {
		if r.JobID == ref.ID {
			found[r.AllocID] = net.JoinHostPort(r.Address, strconv.Itoa(r.Port))
		}
	}
	return found, nil
}

// checkReadiness takes readiness from allocations whose checks do not all pass. Only those that could be ready are
// asked; of a client that does not answer the last word holds for a while: a server that has just started does not reach
// any yet.
func (c *Cluster) checkReadiness(ctx context.Context, ref strategy.JobRef, live version, allocs []strategy.Alloc) error {
	expected := checkedServices(live.job)
	asking, askCtx := errgroup.WithContext(ctx)
	asking.SetLimit(maxChecksAsked)
	for i := range allocs {
		alloc := &allocs[i]
		// The live spec says what checks a fresh allocation has. An older one may have more, fewer or none.
		reports := alloc.Fresh && expected[alloc.Group] > 0
		if !alloc.Ready || (alloc.Fresh && !reports) {
			continue
		}
		asking.Go(func() error {
			statuses, err := c.client.Allocations().Checks(alloc.ID, query(askCtx, ref.Namespace))
			if ctxErr := ctx.Err(); ctxErr != nil {
				return ctxErr
			}
			if err != nil {
				c.logger.WarnContext(ctx, "checks cannot be read", "job", ref.String(), "alloc", alloc.ID, "error", err)
			}
			alloc.Ready = c.passing.take(alloc.ID, err == nil, err == nil && allPass(statuses, reports), time.Now())
			return nil
		})
	}
	return asking.Wait()
}

// checkedServices counts the checks of each group that Nomad itself runs.
func checkedServices(job *api.Job) map[string]int {
	checks := map[string]int{}
	for _, group := range job.TaskGroups {
		for _, service := range groupServices(group) {
			if service.Provider == providerNomad {
				checks[deref(group.Name)] += len(service.Checks)
			}
		}
	}
	return checks
}

// allPass tells whether every check passes. Where there must be checks, no result yet is not a pass.
func allPass(statuses api.AllocCheckStatuses, reports bool) bool {
	if reports && len(statuses) == 0 {
		return false
	}
	for _, status := range statuses {
		if status.Status != "success" {
			return false
		}
	}
	return true
}

// isPromoted tells whether no group of the deployment waits for a promotion.
func isPromoted(d *api.Deployment) bool {
	for _, group := range d.TaskGroups {
		if group.DesiredCanaries > 0 && !group.Promoted {
			return false
		}
	}
	return true
}

func deploymentState(d *api.Deployment) strategy.Deployment {
	if d == nil {
		return strategy.Deployment{}
	}
	state := strategy.Deployment{ID: d.ID, Status: deploymentStatus(d.Status), Promoted: isPromoted(d), Text: d.StatusDescription}
	for name, group := range d.TaskGroups {
		if group.DesiredCanaries > 0 {
			if state.Canaries == nil {
				state.Canaries = map[string]int{}
			}
			state.Canaries[name] = group.DesiredCanaries
		}
	}
	return state
}

// deploymentStatus reduces Nomad's statuses. The transient ones (pending, paused, blocked, unblocking, initializing)
// are a deployment under way.
func deploymentStatus(status string) strategy.DeploymentStatus {
	switch status {
	case api.DeploymentStatusSuccessful:
		return strategy.DeploymentSuccessful
	case api.DeploymentStatusFailed:
		return strategy.DeploymentFailed
	case api.DeploymentStatusCancelled:
		return strategy.DeploymentCancelled
	}
	return strategy.DeploymentRunning
}

// sortAllocs makes the order of allocations the same in every observation.
func sortAllocs(allocs []strategy.Alloc) {
	slices.SortFunc(allocs, func(a, b strategy.Alloc) int { return compareStrings(a.ID, b.ID) })
}
