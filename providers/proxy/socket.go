package proxy

import (
	"errors"
	"io"
	"sync"
	"time"
)

// farewell is how long a user of a WebSocket has to answer the close frame that ends it.
const farewell = 2 * time.Second

var errLeft = errors.New("the connection was ended by the proxy")

// socket is the endpoint's side of an upgraded connection, as the forwarding reads and writes it. It ends a WebSocket
// in the way that its user expects: with a close frame, status 1001, when the proxy shuts down, or when the endpoint
// went away without one.
type socket struct {
	endpoint  io.ReadWriteCloser
	websocket bool
	pieces    chan piece
	taken     chan struct{} // the last piece has been used up
	leave     chan struct{} // closed when it is to end
	answered  chan struct{} // closed when the user sent a close frame
	closed    chan struct{}

	leaving, answering, closing sync.Once
	why                         string // it is to end; set before leave is closed

	// Only the reader has these.
	down   frames
	rest   []byte // of what is to be read
	last   error  // what comes after rest
	lent   bool   // rest is a piece
	parted bool   // our close frame was put in

	up frames // only the writer has it
}

// piece is something that the endpoint sent.
type piece struct {
	data []byte
	err  error
}

func newSocket(endpoint io.ReadWriteCloser, websocket bool) *socket {
	s := &socket{
		endpoint: endpoint, websocket: websocket, pieces: make(chan piece), taken: make(chan struct{}),
		leave: make(chan struct{}), answered: make(chan struct{}), closed: make(chan struct{}),
	}
	go s.receive()
	return s
}

// receive hands on what the endpoint sends, until it ends or the socket is closed.
func (s *socket) receive() {
	buffer := make([]byte, 16<<10)
	for {
		n, err := s.endpoint.Read(buffer)
		select {
		case s.pieces <- piece{buffer[:n], err}:
		case <-s.closed:
			return
		}
		if err != nil {
			return
		}
		select {
		case <-s.taken:
		case <-s.closed:
			return
		}
	}
}

// Read is what goes to the user.
func (s *socket) Read(b []byte) (int, error) {
	for len(s.rest) == 0 || (s.isLeaving() && s.mayPart()) {
		switch {
		case s.isLeaving() && s.mayPart():
			s.farewell(s.why)
		case s.last != nil && s.websocket && s.mayPart():
			s.farewell("the server went away")
		case s.last != nil:
			return 0, s.end()
		default:
			if err := s.fetch(); err != nil {
				return 0, err
			}
		}
	}
	return s.hand(b), nil
}

// hand hands out of what is to be read: all that fits, or when it is time to leave no more than up to the end of a frame.
func (s *socket) hand(b []byte) int {
	n := copy(b, s.rest)
	if s.websocket && !s.parted {
		n = s.down.pass(s.rest[:n], s.isLeaving())
	}
	s.rest = s.rest[n:]
	if len(s.rest) > 0 || !s.lent {
		return n
	}
	s.lent = false
	if s.last == nil {
		select {
		case s.taken <- struct{}{}:
		case <-s.closed:
		}
	}
	return n
}

// fetch waits for the next piece, or for the time to leave.
func (s *socket) fetch() error {
	leave := s.leave
	if s.isLeaving() {
		leave = nil // In mid-frame.
	}
	select {
	case p := <-s.pieces:
		s.rest, s.last, s.lent = p.data, p.err, true
	case <-leave:
	case <-s.closed:
		return errLeft
	}
	return nil
}

func (s *socket) isLeaving() bool {
	select {
	case <-s.leave:
		return true
	default:
		return false
	}
}

// mayPart tells whether a close frame of ours has its place here.
func (s *socket) mayPart() bool {
	return !s.parted && (!s.websocket || (s.down.between() && !s.down.closed))
}

// part has the socket end as soon as its place is between two frames.
func (s *socket) part(why string) {
	s.leaving.Do(func() {
		s.why = why
		close(s.leave)
	})
}

// farewell ends what is read with a close frame of ours.
func (s *socket) farewell(why string) {
	s.parted, s.last, s.lent, s.rest = true, errLeft, false, nil
	if s.websocket {
		s.rest = goingAway(why)
	}
}

// end is what Read returns last. A user who was sent our close frame has some time to answer it; the answer goes to the
// endpoint.
func (s *socket) end() error {
	if s.parted && s.websocket {
		timer := time.NewTimer(farewell)
		defer timer.Stop()
		select {
		case <-s.answered:
		case <-timer.C:
		case <-s.closed:
		}
	}
	return s.last
}

// Write is what comes from the user.
func (s *socket) Write(b []byte) (int, error) {
	if s.websocket {
		s.up.pass(b, false)
	}
	n, err := s.endpoint.Write(b)
	if s.up.closed {
		s.answering.Do(func() { close(s.answered) })
	}
	if err != nil && s.websocket {
		// The reader decides how this ends: it may still have something to say to the user.
		return len(b), nil
	}
	return n, err
}

// Close ends both directions.
func (s *socket) Close() error {
	err := error(nil)
	s.closing.Do(func() {
		close(s.closed)
		err = s.endpoint.Close()
	})
	return err
}

// CloseWrite tells the endpoint that the user sends no more.
func (s *socket) CloseWrite() error {
	if half, ok := s.endpoint.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errLeft
}
