package nginx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

const (
	heading   = "# Written by Drover: what is changed here is lost with the next split. "
	splitLine = "# split "
	adminPath = "/drover"

	adminServer = "\nserver {\n  listen "
	nobody      = "server 127.0.0.1:1 down;" // An upstream without a server is no valid one.
	keepsAlive  = 32                         // idle connections to each upstream, of each worker

	upstreamPrefix = "drover-"
)

// Variable is the name of the variable that holds the upstream of a request of the release, with its $.
func Variable(release string) string { return "$drover_" + strategy.Symbol(release) }

// format is what the file depends on beside the splits.
type format struct {
	admin string
	logs  bool // it declares the format of the log
}

// render is the file for these splits.
func render(splits map[string]strategy.Split, f format) ([]byte, error) {
	var body bytes.Buffer
	for _, release := range slices.Sorted(maps.Keys(splits)) {
		if err := renderSplit(&body, splits[release]); err != nil {
			return nil, err
		}
	}
	if f.logs {
		fmt.Fprintf(&body, "\nlog_format %s '%s';\n", logFormat, logFields)
	}
	content, _ := seal(body.String(), f.admin)
	return content, nil
}

// seal puts the checksum around the body of a file: it carries it, and NGINX says with it what it has loaded.
func seal(body, admin string) (content []byte, sum string) {
	hash := sha256.Sum256([]byte(admin + "\n" + body))
	sum = hex.EncodeToString(hash[:8])
	return fmt.Appendf(nil, "%s%s\n%s%s%s;\n  access_log off;\n  location = %s { return 200 \"%s\"; }\n  location / { return 404; }\n}\n", heading, sum, body, adminServer, admin, adminPath, sum), sum
}

// intact tells whether a file is as it was sealed, by whatever options, and with what checksum.
func intact(content []byte) (sum string, ok bool) {
	_, rest, _ := strings.Cut(string(content), "\n")
	n := strings.LastIndex(rest, adminServer)
	if n < 0 {
		return "", false
	}
	admin, _, _ := strings.Cut(rest[n+len(adminServer):], ";")
	want, sum := seal(rest[:n], admin)
	return sum, bytes.Equal(want, content)
}

func renderSplit(b *bytes.Buffer, split strategy.Split) error {
	text, err := json.Marshal(split)
	if err != nil {
		return fmt.Errorf("write the split of %q: %w", split.Release, err)
	}
	name := strategy.Symbol(split.Release)
	fmt.Fprintf(b, "\n%s%s\n", splitLine, text)
	renderUpstream(b, name, strategy.Stable, split.Stable)
	renderUpstream(b, name, strategy.Canary, split.Canary)
	fmt.Fprintf(b, "split_clients $request_id $drover_%s {\n", name)
	stable, canary := upstream(name, strategy.Stable), upstream(name, strategy.Canary)
	switch {
	case len(split.Canary) == 0 || split.Weight <= 0: // A canary that nobody answers for leaves its share to stable.
		fmt.Fprintf(b, "  * %s;\n", stable)
	case split.Weight >= strategy.Full:
		fmt.Fprintf(b, "  * %s;\n", canary)
	default:
		fmt.Fprintf(b, "  %d.%02d%% %s;\n  * %s;\n", split.Weight/100, split.Weight%100, canary, stable)
	}
	fmt.Fprintln(b, "}")
	return nil
}

func upstream(name string, track strategy.Track) string {
	return upstreamPrefix + name + "-" + string(track)
}

func renderUpstream(b *bytes.Buffer, name string, track strategy.Track, endpoints []strategy.Endpoint) {
	fmt.Fprintf(b, "upstream %s {\n", upstream(name, track))
	for _, e := range endpoints {
		fmt.Fprintf(b, "  server %s; # %s\n", e.Address, e.Alloc)
	}
	if len(endpoints) == 0 {
		fmt.Fprintf(b, "  %s\n", nobody)
	}
	fmt.Fprintf(b, "  keepalive %d;\n}\n", keepsAlive)
}

// file is what was found on the disk.
type file struct {
	splits  map[string]strategy.Split
	sum     string // "" for one that is not there, or was changed by somebody else
	edited  bool
	content []byte // nil when it is not there
}

// readFile reads the splits that a file has. Of one that somebody else changed it has those that can still be read.
func readFile(path string) (file, error) {
	found := file{splits: map[string]strategy.Split{}}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, err
	}
	sum, ok := intact(content)
	found.content, found.sum, found.edited = content, sum, !ok
	if !ok {
		found.sum = ""
	}
	for line := range strings.Lines(string(content)) {
		var split strategy.Split
		if text, is := strings.CutPrefix(line, splitLine); is && json.Unmarshal([]byte(text), &split) == nil && split.Release != "" {
			found.splits[split.Release] = split
		}
	}
	return found, nil
}

// replaceFile writes a file as a whole: a crash leaves the old one or the new one. Others may read it, as NGINX must.
func replaceFile(path string, content []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
