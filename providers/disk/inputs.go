package disk

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/drover-dev/drover/strategy"
)

const (
	// partSize is how long a part of the inputs of a release gets before the next is begun.
	partSize = 512 << 10
	// keptParts is how many parts of a release are kept: the oldest is dropped.
	keptParts  = 4
	partSuffix = ".jsonl"
	// longestLine bounds what is read as one decision.
	longestLine = 4 << 20
)

// Inputs keeps what the decisions of rollouts were made on, so that they can be made again. It holds at most 2 MiB of a
// release, in parts that each can be read without those before; the oldest is dropped. It is safe for concurrent use by
// one process. What the files lose in a crash is the end of the last line.
type Inputs struct {
	dir string

	mu   sync.Mutex
	last map[string]*noted // by release
}

// noted is what was written of a release last.
type noted struct {
	file  string // the present part; "" when the next begins one
	size  int
	after strategy.Rollout
	gist  []byte
	seen  map[string]json.RawMessage // of the observation
}

// Input is a decision with all that it was made on.
type Input struct {
	At time.Time
	// Before is the rollout that was decided about, where it is not what the decision before this came to; nil else.
	Before      *strategy.Rollout
	Observation strategy.Observation
	Came        strategy.Gist
}

// inputLine is an Input as it is written: without what has not changed since the line before.
type inputLine struct {
	At          time.Time                  `json:"at"`
	Before      *strategy.Rollout          `json:"before,omitempty"`
	Observation map[string]json.RawMessage `json:"observation,omitempty"`
	Came        json.RawMessage            `json:"came,omitempty"`
}

// NewInputs keeps inputs in a folder, which is made with the first.
func NewInputs(dir string) *Inputs { return &Inputs{dir: dir, last: map[string]*noted{}} }

// Keep writes down a decision. Jobspecs are left out: no decision rests on their text.
func (i *Inputs) Keep(at time.Time, before, after strategy.Rollout, o strategy.Observation) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.last[after.Release]
	if n == nil {
		n = &noted{}
		i.last[after.Release] = n
	}
	if n.file == "" || n.size > partSize {
		if err := i.begin(after.Release, n); err != nil {
			return fmt.Errorf("keep the inputs of %q: %w", after.Release, err)
		}
	}
	line, err := n.line(at, before, after, o)
	if err == nil {
		err = n.append(line)
	}
	if err != nil {
		n.file = "" // What comes next does not follow from what was written.
		return fmt.Errorf("keep the inputs of %q: %w", after.Release, err)
	}
	n.after = after
	return nil
}

// begin begins a part, and drops the oldest.
func (i *Inputs) begin(release string, n *noted) error {
	dir := i.folder(release)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parts, err := i.parts(release)
	if err != nil {
		return err
	}
	for len(parts) >= keptParts {
		if err := discard(parts[0]); err != nil {
			return err
		}
		parts = parts[1:]
	}
	number := 1
	if len(parts) > 0 {
		number = partNumber(parts[len(parts)-1]) + 1
	}
	*n = noted{file: filepath.Join(dir, strconv.Itoa(number)+partSuffix), seen: map[string]json.RawMessage{}}
	return nil
}

// line is a decision as it is written after the one before.
func (n *noted) line(at time.Time, before, after strategy.Rollout, o strategy.Observation) ([]byte, error) {
	out := inputLine{At: at, Observation: map[string]json.RawMessage{}}
	if n.size == 0 || !reflect.DeepEqual(before, n.after) {
		out.Before = &before
	}
	if o.Desired != nil {
		desired := *o.Desired
		desired.Release.Source.Jobspec, desired.Release.Source.Variables = "", ""
		o.Desired = &desired
	}
	fields, err := fieldsOf(o)
	if err != nil {
		return nil, err
	}
	for name, value := range fields {
		if !bytes.Equal(value, n.seen[name]) {
			out.Observation[name] = value
		}
	}
	n.seen = fields
	gist, err := json.Marshal(after.Gist())
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(gist, n.gist) {
		out.Came, n.gist = gist, gist
	}
	line, err := json.Marshal(out)
	return append(line, '\n'), err
}

// fieldsOf is the fields of an observation, each by itself.
func fieldsOf(o strategy.Observation) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	return fields, json.Unmarshal(text, &fields)
}

func (n *noted) append(line []byte) error {
	file, err := os.OpenFile(n.file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	n.size += len(line)
	_, err = file.Write(line)
	return errors.Join(err, file.Close())
}

// Rest says that a release is at rest: the next decision about it begins a part of its own.
func (i *Inputs) Rest(release string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.last, release)
}

// WriteTo writes all that is kept of a release, the oldest first. The error is os.ErrNotExist when there is nothing.
func (i *Inputs) WriteTo(w io.Writer, release string) error {
	parts, err := i.parts(release)
	if err != nil {
		return fmt.Errorf("read the inputs of %q: %w", release, err)
	}
	if len(parts) == 0 {
		return fmt.Errorf("no inputs of %q are kept in %s: %w", release, i.folder(release), os.ErrNotExist)
	}
	for _, part := range parts {
		content, err := os.ReadFile(part)
		if errors.Is(err, os.ErrNotExist) {
			continue // It was dropped just now.
		}
		if err != nil {
			return fmt.Errorf("read the inputs of %q: %w", release, err)
		}
		// What a crash cut off is no line.
		if _, err := w.Write(content[:bytes.LastIndexByte(content, '\n')+1]); err != nil {
			return err
		}
	}
	return nil
}

func (i *Inputs) folder(release string) string {
	return filepath.Join(i.dir, strings.TrimSuffix(fileName(release), suffix))
}

// parts are the files of a release, the oldest first.
func (i *Inputs) parts(release string) ([]string, error) {
	parts, err := filepath.Glob(filepath.Join(i.folder(release), "*"+partSuffix))
	if err != nil {
		return nil, err
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return partNumber(p) == 0 })
	slices.SortFunc(parts, func(a, b string) int { return cmp.Compare(partNumber(a), partNumber(b)) })
	return parts, nil
}

// partNumber is the number of a part; 0 for a file that is none.
func partNumber(file string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), partSuffix))
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// ReadInputs calls each with every decision that WriteTo wrote, in their order. The error names the line that is wrong.
func ReadInputs(r io.Reader, each func(line int, in Input) error) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, longestLine)
	seen, came := map[string]json.RawMessage{}, json.RawMessage(nil)
	number := 0
	for scanner.Scan() {
		number++
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var line inputLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		maps.Copy(seen, line.Observation)
		if line.Came != nil {
			came = line.Came
		}
		in := Input{At: line.At, Before: line.Before}
		whole, err := json.Marshal(seen)
		if err == nil {
			err = errors.Join(json.Unmarshal(whole, &in.Observation), json.Unmarshal(came, &in.Came))
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if err := each(number, in); err != nil {
			return err
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("after line %d: %w", number, err)
	}
	return nil
}
