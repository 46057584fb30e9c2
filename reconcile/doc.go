// Package reconcile is the loop: observe, decide, record, act. It gathers what Git asks for and what Nomad, the
// router and the meter show, lets strategy.Advance decide, stores the decision, and performs its actions. It also
// writes rollbacks back to Git, and puts into words what people are told of them.
//
// It decides nothing about rollouts itself, and knows no vendor: what it needs of the outside it declares here, as
// small interfaces named for their role. Providers implement them.
//
// Invariants: a record is stored before any action that gives traffic, starts or ends something; only actions that
// take traffic away may come first. Passes may be cut off anywhere: the next one carries on from record and world.
package reconcile
