// Package strategy is Drover's domain and its state machine. It decides how a service moves from its stable
// revision to a new one, and does nothing else: it reads no clock, opens no socket and logs nothing. Time and
// everything seen of the world are arguments; what is to be done comes back as values.
//
// The heart is one function:
//
//	next, actions, reason := strategy.Advance(rollout, observation, now)
//
// The caller observes (Git, Nomad, router, metrics), calls Advance, stores the returned Rollout and performs the
// actions, in the order that Action documents. Actions are derived from the record and the observation alone and
// are emitted again until an observation shows their effect, so every one of them may be lost or repeated.
//
// Invariants, held by the property tests and by the exhaustive exploration beside this package:
//
//   - the weight never rises while a gate fails, while anything holds the rollout, or after it was condemned;
//   - no traffic goes to a canary that is not ready, nor more than the ready ones can carry;
//   - the stable revision is not stopped before the canary was promoted;
//   - a rollout can be rolled back and aborted from every state before promotion;
//   - a world that stays quiet leads to Resting or Blocked;
//   - Advance rests: given its own result and the same observation it returns that result again.
package strategy
