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
	heading    = "# Written by Drover: what is changed here is lost with the next split. "
	splitLine  = "# split "
	adminPath  = "/drover"
	nobody     = "server 127.0.0.1:1 down;" // An upstream without a server is no valid one.
	keepsAlive = 32                         // idle connections to each upstream, of each worker
)

// Variable is the name of the variable that holds the upstream of a request of the release, with its $.
func Variable(release string) string { return "$drover_" + symbol(release) }

// symbol is a release's name as part of a variable's. Different names never give one symbol.
func symbol(release string) string {
	var b strings.Builder
	for _, c := range []byte(release) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
			b.WriteByte(c)
		case c == '-':
			b.WriteByte('_')
		default:
			fmt.Fprintf(&b, "_%02x_", c)
		}
	}
	return b.String()
}

// render is the file for these splits. sum is the checksum that it carries, and that NGINX says it has loaded.
func render(splits map[string]strategy.Split, admin string) (content []byte, sum string, err error) {
	var body bytes.Buffer
	for _, release := range slices.Sorted(maps.Keys(splits)) {
		if err := renderSplit(&body, splits[release]); err != nil {
			return nil, "", err
		}
	}
	hash := sha256.Sum256([]byte(admin + "\n" + body.String()))
	sum = hex.EncodeToString(hash[:8])
	fmt.Fprintf(&body, "\nserver {\n  listen %s;\n  access_log off;\n  location = %s { return 200 \"%s\"; }\n  location / { return 404; }\n}\n", admin, adminPath, sum)
	return append([]byte(heading+sum+"\n"), body.Bytes()...), sum, nil
}

func renderSplit(b *bytes.Buffer, split strategy.Split) error {
	text, err := json.Marshal(split)
	if err != nil {
		return fmt.Errorf("write the split of %q: %w", split.Release, err)
	}
	name := symbol(split.Release)
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
	return "drover-" + name + "-" + string(track)
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

// errEdited says that the file is not as Drover wrote it.
var errEdited = errors.New("it was changed by somebody else: put it back, or remove it, and Drover writes it anew")

// readFile is the splits that a file has and its checksum. One that is not there has none.
func readFile(path, admin string) (splits map[string]strategy.Split, sum string, content []byte, err error) {
	content, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]strategy.Split{}, "", nil, nil
	}
	if err != nil {
		return nil, "", nil, err
	}
	splits = map[string]strategy.Split{}
	for line := range strings.Lines(string(content)) {
		text, found := strings.CutPrefix(line, splitLine)
		if !found {
			continue
		}
		var split strategy.Split
		if err := json.Unmarshal([]byte(text), &split); err != nil {
			return nil, "", content, fmt.Errorf("%s: %w", path, errEdited)
		}
		splits[split.Release] = split
	}
	want, sum, err := render(splits, admin)
	if err != nil {
		return nil, "", content, err
	}
	if !bytes.Equal(want, content) {
		return splits, "", content, fmt.Errorf("%s: %w", path, errEdited)
	}
	return splits, sum, content, nil
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
