package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// get is the body that an address answers with; "" while it does not.
func get(address string) string {
	answer, err := http.Get(address) //nolint:gosec // A daemon of this test, on the loopback.
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// TestTwoDaemons is two processes of one instance: one leads, the other carries on when it is stopped or killed.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	dir, instance := t.TempDir(), newInstance()
	remote := filepath.Join(dir, "shop.git")
	if said, err := exec.Command("git", "init", "-q", "--bare", "-b", "main", remote).CombinedOutput(); err != nil {
		t.Fatalf("make the repository: %v\n%s", err, said)
	}
	newOne := func(name string) (d *daemon, address string) {
		address = freeAddress(t)
		config := filepath.Join(dir, name, "drover.hcl")
		text := fmt.Sprintf("instance = %q\ngit {\n  url = %q\n}\nnomad {\n  address = %q\n}\nhttp {\n  listen = %q\n}\n", instance, remote, agent.Address, address)
		if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return newDaemon(t, config), "http://" + address
	}
	leads := func(address string) func() bool {
		return func() bool {
			return get(address+"/healthz") == "ok, leads\n" && strings.Contains(get(address+"/metrics"), "\ndrover_leader 1\n")
		}
	}
	first, atFirst := newOne("first")
	second, atSecond := newOne("second")
	first.start()
	eventually(t, "the first leads", leads(atFirst))
	second.start()
	eventually(t, "the second stands by", func() bool {
		return get(atSecond+"/healthz") == "ok, stands by\n" && strings.Contains(get(atSecond+"/metrics"), "\ndrover_leader 0\n")
	})
	said, err := exec.Command(drover, "pause", "-config", second.config, "checkout-api").CombinedOutput() //nolint:gosec // Built by this test.
	if err == nil || !strings.Contains(string(said), filepath.Join(dir, "first")) || !strings.Contains(string(said), "leads. Run the command there") {
		t.Errorf("a command to the second: got %q, error %v, want it to name the first", said, err)
	}
	if code, out, said := command(t, "status", "-config", second.config); code != 0 || !strings.Contains(out, "is led by process") || !strings.Contains(out, filepath.Join(dir, "first")) {
		t.Errorf("drover status beside the second: exit code %d, %q and %q, want it to name the first", code, out, said)
	}
	first.stop()
	eventually(t, "the second leads", leads(atSecond))
	first.start()
	eventually(t, "the first stands by", func() bool { return get(atFirst+"/healthz") == "ok, stands by\n" })
	second.kill()
	eventually(t, "the first leads again", leads(atFirst))
}
