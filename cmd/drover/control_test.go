package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drover-dev/drover/strategy"
)

// TestCommandsOverHTTP sends commands to a daemon that is guarded by a token.
func TestCommandsOverHTTP(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var obeyed []order
	obeys := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o order
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			t.Error(err)
		}
		obeyed = append(obeyed, o)
		_ = json.NewEncoder(w).Encode(map[string]any{"rollout": strategy.Rollout{Paused: o.By, Reason: strategy.Reason{Text: "paused by " + o.By}}})
	})
	server := httptest.NewServer(guard(secret{block: "http", name: "token", file: file}, obeys))
	defer server.Close()
	open := httptest.NewServer(guard(secret{}, obeys))
	defer open.Close()
	gone := httptest.NewServer(obeys)
	gone.Close()

	for _, test := range []struct {
		name, held, shown string // of the token: what the daemon's file holds, and what the command shows
		args              []string
		want              string // what is said; "" when it is obeyed
	}{
		{"right token", "s3cret\n", "s3cret", []string{"-address", server.URL, "web"}, ""},
		{"token of a file", "s3cret\n", "", []string{"-address", server.URL, "-token-file", file, "web"}, ""},
		{"token with a space behind it", "s3cret \n", "s3cret ", []string{"-address", server.URL, "web"}, ""},
		{"wrong token", "s3cret\n", "s3cre", []string{"-address", server.URL, "web"}, "the daemon refused: the token is missing or wrong"},
		{"token that was replaced", "an0ther\n", "s3cret", []string{"-address", server.URL, "web"}, "the token is missing or wrong"},
		{"daemon whose file is empty", "\n", "s3cret", []string{"-address", server.URL, "web"}, "the daemon's own token cannot be read"},
		{"no token", "s3cret\n", "", []string{"-address", server.URL, "web"}, "set DROVER_TOKEN, or name its file with -token-file"},
		{"daemon without a token", "s3cret\n", "s3cret", []string{"-address", open.URL, "web"}, "commands are not taken over HTTP: set token_env or token_file"},
		{"nobody there", "s3cret\n", "s3cret", []string{"-address", gone.URL, "web"}, "connection refused): is drover run up"},
		{"plain text to elsewhere", "s3cret\n", "s3cret", []string{"-address", "http://drover.example.com", "web"}, "would carry the token in plain text"},
		{"no address", "s3cret\n", "s3cret", []string{"-address", "drover.example.com", "web"}, "is no http:// or https:// address"},
		{"no release", "s3cret\n", "s3cret", []string{"-address", server.URL}, "Usage: drover pause"},
	} {
		write(test.held)
		t.Setenv(tokenVariable, test.shown)
		var out, said bytes.Buffer
		before := len(obeyed)
		code := runCommand(strategy.CommandPause)(t.Context(), &console{out: &out, err: &said}, test.args)
		reached := len(obeyed) - before
		switch {
		case test.want == "" && (code != 0 || reached != 1 || !strings.HasPrefix(out.String(), "web: paused by ")):
			t.Errorf("%s: exit code %d, %d orders, printed %q and %q", test.name, code, reached, &out, &said)
		case test.want != "" && (code != 1 || reached != 0 || !strings.Contains(said.String(), test.want)):
			t.Errorf("%s: exit code %d, %d orders, said %q, want %q", test.name, code, reached, &said, test.want)
		}
		if strings.Contains(out.String()+said.String(), "s3cret") {
			t.Errorf("%s: the token is shown: %s%s", test.name, &out, &said)
		}
	}
	if obeyed[0].Release != "web" || obeyed[0].Kind != strategy.CommandPause || obeyed[0].By == "" {
		t.Errorf("the daemon got %+v", obeyed[0])
	}
}

// TestGuardTakesThisMachineOnly holds that the right token from elsewhere is refused.
func TestGuardTakesThisMachineOnly(t *testing.T) {
	t.Setenv("SHOP_TOKEN", "s3cret")
	reached := false
	handler := guard(secret{env: "SHOP_TOKEN"}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for from, want := range map[string]int{"127.0.0.1:5": http.StatusOK, "[::1]:5": http.StatusOK, "10.0.0.8:5": http.StatusForbidden, "": http.StatusForbidden} {
		reached = false
		request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/command", nil)
		request.RemoteAddr = from
		request.Header.Set("Authorization", "bearer s3cret")
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code != want || reached != (want == http.StatusOK) {
			t.Errorf("from %q: status %d, obeyed %t", from, answer.Code, reached)
		}
	}
}
