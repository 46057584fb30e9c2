package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

const (
	// streamPath is the event stream's: its answer has no end.
	streamPath = "/v1/event/stream"
	// keptEvents is how many events are there for who asks for older ones.
	keptEvents = 100
	// heartbeat is how often a stream says that it lives.
	heartbeat = 30 * time.Second
)

// What events of jobs are made for, in Nomad's words.
const (
	eventRegistered   = "JobRegistered"
	eventDeregistered = "JobDeregistered"
	eventPlan         = "PlanResult"

	eventServiceRegistered   = "ServiceRegistration"
	eventServiceDeregistered = "ServiceDeregistration"
)

// told is one event of the topics Job and Service.
type told struct {
	Topic, Type, Key, Namespace string
	Index                       uint64
	Payload                     struct {
		Job     *api.Job                 `json:",omitempty"`
		Service *api.ServiceRegistration `json:",omitempty"`
	}
}

// emit notes what happened to a job, for who follows.
func (n *Nomad) emit(j *job, kind string, index uint64) {
	e := told{Topic: string(api.TopicJob), Type: kind, Key: j.name, Namespace: j.namespace, Index: index}
	now := *j.current() // What it points to is replaced, never changed.
	e.Payload.Job = &now
	n.tell(e)
}

// emitServices notes that services came or went, for who follows.
func (n *Nomad) emitServices(services []*api.ServiceRegistration, kind string, index uint64) {
	for _, s := range services {
		e := told{Topic: string(api.TopicService), Type: kind, Key: s.ID, Namespace: s.Namespace, Index: index}
		now := *s
		e.Payload.Service = &now
		n.tell(e)
	}
}

func (n *Nomad) tell(e told) {
	n.emitted = append(n.emitted, e)
	n.emittedAll++
	n.emitted = n.emitted[max(0, len(n.emitted)-keptEvents):]
}

// stream is the answer to one who follows.
type stream struct {
	nomad     *Nomad
	ctx       context.Context
	end       context.CancelFunc
	namespace string
	topics    []string
	next      int       // of all events, the first that was not sent
	said      time.Time // when it last said anything
	pending   bytes.Buffer
}

// openStream answers GET /v1/event/stream. An index that was not reached yet begins at the present, one that is older than
// what is kept begins with the oldest, without saying so.
func (n *Nomad) openStream(ctx context.Context, u *url.URL) (*stream, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.journal = append(n.journal, http.MethodGet+" "+u.RequestURI())
	if n.down {
		return nil, errUnavailable
	}
	r := request{query: u.Query()}
	s := &stream{nomad: n, namespace: r.namespace(), next: n.emittedAll, said: n.now}
	s.ctx, s.end = context.WithCancel(ctx)
	asked, err := strconv.ParseUint(r.query.Get("index"), 10, 64)
	if err != nil {
		asked = 0
	}
	if asked <= n.index {
		older := slices.IndexFunc(n.emitted, func(e told) bool { return e.Index >= asked })
		if older >= 0 {
			s.next = n.emittedAll - len(n.emitted) + older
		}
	}
	s.topics = []string{string(api.TopicJob), string(api.TopicService)}
	if topics := r.query["topic"]; len(topics) > 0 && !slices.Contains(topics, string(api.TopicAll)) {
		if slices.ContainsFunc(topics, func(t string) bool { return !slices.Contains(s.topics, t) }) {
			n.unknown = append(n.unknown, http.MethodGet+" "+u.RequestURI())
		}
		s.topics = topics
	}
	s.pending.WriteString("{}\n")
	return s, nil
}

// Read returns what there is to say, and blocks until there is something.
func (s *stream) Read(p []byte) (int, error) {
	n := s.nomad
	n.mu.Lock()
	defer n.mu.Unlock()
	for s.pending.Len() == 0 {
		if n.down {
			return 0, io.ErrUnexpectedEOF
		}
		if err := s.gather(); err != nil {
			return 0, err
		}
		if s.pending.Len() > 0 {
			break
		}
		if err := n.await(s.ctx); err != nil {
			return 0, err
		}
	}
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	s.said = n.now
	return s.pending.Read(p)
}

// gather takes what happened since the last time.
func (s *stream) gather() error {
	n := s.nomad
	first := n.emittedAll - len(n.emitted)
	for _, e := range n.emitted[max(0, s.next-first):] {
		if (s.namespace != "*" && s.namespace != e.Namespace) || !slices.Contains(s.topics, e.Topic) {
			continue
		}
		text, err := json.Marshal(struct {
			Index  uint64
			Events []told
		}{e.Index, []told{e}})
		if err != nil {
			return err
		}
		s.pending.Write(append(text, '\n'))
	}
	s.next = n.emittedAll
	if s.pending.Len() == 0 && n.now.Sub(s.said) >= heartbeat {
		s.pending.WriteString("{}\n")
	}
	return nil
}

// Close ends the stream; who reads sees the end.
func (s *stream) Close() error {
	s.end()
	return nil
}

// serveStream sends a stream over a connection, until who asked goes away.
func (n *Nomad) serveStream(w http.ResponseWriter, r *http.Request) {
	s, err := n.openStream(r.Context(), r.URL)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer s.end()
	w.Header().Set("Content-Type", "application/json")
	flush := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		read, err := s.Read(buffer)
		if err != nil {
			return
		}
		if _, err := w.Write(buffer[:read]); err != nil {
			return
		}
		if flush.Flush() != nil {
			return
		}
	}
}

// listNamespaces answers GET /v1/namespaces.
func listNamespaces(n *Nomad, _ request) answer {
	list := []*api.Namespace{{Name: api.DefaultNamespace, CreateIndex: 1, ModifyIndex: 1}}
	for _, name := range n.cfg.Namespaces {
		list = append(list, &api.Namespace{Name: name, CreateIndex: 1, ModifyIndex: 1})
	}
	return ok(list, max(1, n.tables[tableNamespaces]))
}

// registerNamespace answers PUT /v1/namespace.
func registerNamespace(n *Nomad, r request) answer {
	var in api.Namespace
	if bad := r.read(&in); bad != nil {
		return *bad
	}
	if in.Name != api.DefaultNamespace && !slices.Contains(n.cfg.Namespaces, in.Name) {
		n.cfg.Namespaces = append(slices.Clone(n.cfg.Namespaces), in.Name)
	}
	return ok(struct{}{}, n.touch(tableNamespaces))
}
