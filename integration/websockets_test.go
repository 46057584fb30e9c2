package integration_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/drover-dev/drover/strategy"
)

// TestWebSocketsAreDrained is the journey of examples/websockets: what is open on the old version lives on beside the new one,
// and is closed in order when the time to drain is over; the old allocations end after that.
func TestWebSocketsAreDrained(t *testing.T) {
	t.Parallel()
	s := begin(t, "chatted")
	chat := buildChat(t)
	s.askChat(chat, "1.0.0", "20s")
	s.runProxy()
	s.drover.start()
	s.rests("1.0.0", strategy.OutcomePromoted)
	s.welcome()

	kept, left := s.dial(), s.dial()
	s.echoes(kept, "1.0.0")
	s.echoes(left, "1.0.0")
	old := s.allocIDs()
	s.askChat(chat, "1.1.0", "20s")
	s.until("all traffic is on 1.1.0, and two connections are waited for", func() bool {
		return strings.Contains(s.drive(0, "status", s.name), "2 connections are still open on 1.0.0")
	})
	s.echoes(kept, "1.0.0") // It lives on, beside the new version.
	fresh := s.dial()
	s.echoes(fresh, "1.1.0")
	if err := left.Close(); err != nil { // Its user goes by himself.
		t.Error(err)
	}
	s.until("one is left", func() bool {
		return strings.Contains(s.drive(0, "status", s.name), "1 connection is still open on 1.0.0")
	})

	_, _, err := kept.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.CloseGoingAway || closed.Text != "this version is being replaced" {
		t.Errorf("the connection that was kept ended with %v, want a close frame with 1001 from the proxy", err)
	}
	s.rests("1.1.0", strategy.OutcomePromoted)
	s.echoes(fresh, "1.1.0")
	for _, id := range s.allocIDs() {
		for _, gone := range old {
			if id == gone {
				t.Errorf("allocation %s of 1.0.0 still runs", id)
			}
		}
	}
	again := s.dial()
	s.echoes(again, "1.1.0")
	s.drover.stop()
}

// TestRefusedHandshakesAreRolledBack: the gate on errors takes back a version that refuses handshakes, and reverts it. What is open
// on stable stays open for longer than the canaries' connections are waited for.
func TestRefusedHandshakesAreRolledBack(t *testing.T) {
	t.Parallel()
	s := begin(t, "deafened")
	chat := buildChat(t)
	s.askChat(chat, "1.0.0", "1s")
	s.runProxy()
	s.drover.start()
	s.rests("1.0.0", strategy.OutcomePromoted)
	s.users = newUsers(t, "ws://"+s.edge+"/")
	kept, good, old := s.dial(), s.shop.head(), s.allocs()
	s.echoes(kept, "1.0.0")

	failed := s.askChat(chat, "1.1.0-deaf", "1s")
	r := s.rests("1.0.0", strategy.OutcomeCondemned)
	if r.Last.Reason.Code != strategy.GateFailed || !strings.Contains(r.Last.Reason.Text, "handshakes") {
		t.Errorf("rolled back for %q, want the gate on handshakes", r.Last.Reason.Text)
	}
	s.reverted(failed, good)
	s.runs(old)
	s.staysPut(2 * time.Second)
	s.echoes(kept, "1.0.0")
	s.nobodyFailed(time.Time{}, "1.1.0-deaf")
	s.drover.stop()
}

// askChat asks for a version of examples/websockets, with times that a test can wait for, and returns the commit.
func (s *story) askChat(chat, version, drain string) string {
	s.t.Helper()
	const example = "../examples/websockets"
	change := strings.NewReplacer(
		"chat.nomad.hcl", s.name+".nomad.hcl", `"chat"`, strconv.Quote(s.name), `default     = "`+s.name+`"`, "", `version = "1.0.0"`, "version = "+strconv.Quote(version),
		`bake    = "10m"`, `bake    = "3s"`, "[5, 25, 50, 100]", "[50, 100]", `connection_drain = "5m"`, "connection_drain = "+strconv.Quote(drain),
		`default = 3`, `default = 2`, `healthy_deadline  = "20s"`, `healthy_deadline  = "60s"`, `progress_deadline = "30s"`, `progress_deadline = "90s"`,
	)
	err := fs.WalkDir(os.DirFS(example), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".hcl" || path == "drover.hcl" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(example, path))
		if err != nil {
			return err
		}
		changed := change.Replace(strings.Replace(string(text), `default     = "chat"`, "default = "+strconv.Quote(chat), 1))
		s.shop.write(strings.Replace(path, "chat.nomad.hcl", s.name+".nomad.hcl", 1), changed)
		return nil
	})
	if err != nil {
		s.t.Fatalf("read the example: %v", err)
	}
	return s.shop.push("Release " + s.name + " " + version)
}

func buildChat(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "chat")
	build := exec.Command("go", "build", "-o", binary, "./examples/websockets/service")
	build.Dir = ".."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the chat: %v\n%s", err, said)
	}
	return binary
}

// dial opens a WebSocket through the proxy.
func (s *story) dial() *websocket.Conn {
	s.t.Helper()
	connection, response, err := websocket.DefaultDialer.DialContext(s.t.Context(), "ws://"+s.edge+"/", http.Header{})
	if err != nil {
		s.t.Fatalf("open a connection: %v", err)
	}
	_ = response.Body.Close()
	s.t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	return connection
}

// echoes wants a message answered by a version.
func (s *story) echoes(connection *websocket.Conn, version string) {
	s.t.Helper()
	if err := connection.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		s.t.Fatalf("send a message: %v", err)
	}
	if _, said, err := connection.ReadMessage(); err != nil || string(said) != version+": hello" {
		s.t.Fatalf("got %q, %v; want an answer of %s", said, err, version)
	}
}

// allocIDs are the allocations of the job that are to run.
func (s *story) allocIDs() []string {
	s.t.Helper()
	stubs, _, err := s.jobs().Allocations(s.name, false, s.query())
	if err != nil {
		s.t.Fatalf("list the allocations: %v", err)
	}
	var ids []string
	for _, a := range stubs {
		if a.DesiredStatus == "run" {
			ids = append(ids, a.ID)
		}
	}
	return ids
}
