package sim

import (
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The bounds of a lock's times, and what they are when the caller names none.
const (
	shortestTTL = 10 * time.Second
	longestTTL  = 24 * time.Hour
	defaultTTL  = 15 * time.Second
)

// lock is what is known of the lock of a variable besides what the API shows.
type lock struct {
	renewals int       // counts what keeps the lock, so that an earlier end of it is dropped
	kept     time.Time // until when nobody gets it, after its holder fell silent
}

// lockOperation is what a write asks of a variable's lock, "" for nothing.
func lockOperation(r request) (operation string, bad *answer) {
	for name := range r.query {
		asked, is := strings.CutPrefix(name, "lock-")
		if !is {
			continue
		}
		if operation != "" {
			return "", &answer{status: http.StatusBadRequest, text: "multiple lock operations"}
		}
		operation = asked
	}
	return operation, nil
}

// lockVariable answers PUT /v1/var/PATH?lock-acquire, lock-renew and lock-release.
func (n *Nomad) lockVariable(k key, operation string, in api.Variable) answer {
	switch operation {
	case "acquire":
		return n.acquireLock(k, in)
	case "renew":
		return n.renewLock(k, in)
	case "release":
		return n.releaseLock(k, in)
	}
	return refuse(http.StatusBadRequest, "unknown lock operation %q", operation)
}

// lockHeld is the conflict of who does not hold the lock: the variable is not shown.
func lockHeld(k key) answer {
	return answer{status: http.StatusConflict, body: &api.Variable{Namespace: k.namespace, Path: k.name}}
}

// lockTime reads a time of a lock.
func lockTime(text string) (time.Duration, error) {
	if text == "" {
		return defaultTTL, nil
	}
	d, err := time.ParseDuration(text)
	if d == 0 && err == nil {
		d = defaultTTL
	}
	return d, err
}

func (n *Nomad) acquireLock(k key, in api.Variable) answer {
	var asked api.VariableLock
	if in.Lock != nil {
		asked = *in.Lock
	}
	ttl, err := lockTime(asked.TTL)
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	delay, err := lockTime(asked.LockDelay)
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	if ttl < shortestTTL || ttl > longestTTL {
		return refuse(http.StatusBadRequest, "RPC Error:: 400,1 error occurred:\n\t* TTL must be between 10 seconds and 24 hours\n\n")
	}
	old, known := n.vars[k], n.locks[k]
	switch {
	case old != nil && old.Lock != nil && old.Lock.ID != asked.ID:
		return lockHeld(k)
	case known != nil && n.now.Before(known.kept):
		return lockHeld(k)
	}
	asked.TTL, asked.LockDelay = ttl.String(), delay.String()
	if old == nil || old.Lock == nil {
		asked.ID = n.newID()
	}
	v := n.putVariable(k, in.Items, &asked)
	n.keepLock(k, ttl, delay)
	return ok(v, v.ModifyIndex)
}

// keepLock lets the lock end when nobody renews it for twice its time to live, as Nomad's servers have it.
func (n *Nomad) keepLock(k key, ttl, delay time.Duration) {
	if n.locks[k] == nil {
		n.locks[k] = &lock{}
	}
	known := n.locks[k]
	known.renewals++
	renewals := known.renewals
	n.after(2*ttl, func() {
		if known.renewals != renewals || n.vars[k] == nil || n.vars[k].Lock == nil {
			return
		}
		known.kept = n.now.Add(delay)
		n.putVariable(k, n.vars[k].Items, nil)
	})
}

func (n *Nomad) renewLock(k key, in api.Variable) answer {
	v := n.vars[k]
	switch {
	case in.Lock == nil || in.Lock.ID == "":
		return refuse(http.StatusInternalServerError, "1 error occurred:\n\t* missing lock ID\n\n")
	case v == nil:
		return refuse(http.StatusNotFound, "variable doesn't exist")
	case v.Lock == nil:
		return refuse(http.StatusConflict, "variable doesn't hold a lock")
	case v.Lock.ID != in.Lock.ID:
		return refuse(http.StatusConflict, "attempting to modify locked variable")
	}
	ttl, errTTL := lockTime(v.Lock.TTL)
	delay, errDelay := lockTime(v.Lock.LockDelay)
	if errTTL != nil || errDelay != nil {
		return refuse(http.StatusInternalServerError, "the lock has no times")
	}
	n.keepLock(k, ttl, delay)
	return ok(v.Metadata(), 0)
}

func (n *Nomad) releaseLock(k key, in api.Variable) answer {
	v := n.vars[k]
	switch {
	case in.Lock == nil || in.Lock.ID == "":
		return refuse(http.StatusInternalServerError, "1 error occurred:\n\t* missing lock ID\n\n")
	case v == nil:
		return refuse(http.StatusInternalServerError, "variable doesn't exist")
	case v.Lock == nil:
		return refuse(http.StatusInternalServerError, "variable doesn't hold a lock")
	case v.Lock.ID != in.Lock.ID:
		return lockHeld(k)
	}
	n.locks[k].renewals++
	v = n.putVariable(k, v.Items, nil)
	shown := *v
	shown.Items = nil
	return ok(&shown, v.ModifyIndex)
}

// putVariable stores a variable in place of what is there.
func (n *Nomad) putVariable(k key, items api.VariableItems, lock *api.VariableLock) *api.Variable {
	index := n.touch(tableVars)
	v := &api.Variable{
		Namespace: k.namespace, Path: k.name, Items: maps.Clone(items), Lock: lock,
		CreateIndex: index, CreateTime: n.now.UnixNano(), ModifyIndex: index, ModifyTime: n.now.UnixNano(),
	}
	if old := n.vars[k]; old != nil {
		v.CreateIndex, v.CreateTime = old.CreateIndex, old.CreateTime
	}
	n.vars[k] = v
	return v
}

// lockedOut is the answer to who writes a locked variable without its lock; nil for the others.
func (n *Nomad) lockedOut(k key, lock *api.VariableLock) *answer {
	v := n.vars[k]
	if v == nil || v.Lock == nil || (lock != nil && lock.ID == v.Lock.ID) {
		return nil
	}
	a := lockHeld(k)
	return &a
}
