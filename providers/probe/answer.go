package probe

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxBody  = 64 << 10 // bytes of a body that are read
	maxQuote = 200      // runes of an answer that are quoted
	// defaultTimeout is that of a check that has none.
	defaultTimeout = 2 * time.Second
)

// judge says what is wrong with an answer, "" for nothing: its status before its headers, by name, before its body.
func (q question) judge(response *http.Response, body string) string {
	asked := "answered GET " + harmless(q.check.Path)
	if response.StatusCode != q.check.Status {
		return fmt.Sprintf("%s with status %d (expected %d)%s", asked, response.StatusCode, q.check.Status, said(body))
	}
	for _, name := range slices.Sorted(maps.Keys(q.check.Header)) {
		want, values := q.check.Header[name], response.Header.Values(name)
		switch {
		case slices.Contains(values, want):
		case len(values) == 0:
			return fmt.Sprintf("%s without header %s (expected %s)", asked, harmless(name), quote(want))
		default:
			return fmt.Sprintf("%s with header %s %s (expected %s)", asked, harmless(name), quote(values[0]), quote(want))
		}
	}
	if q.body != nil && !q.body.MatchString(body) {
		return fmt.Sprintf("%s with a body that does not match %s%s", asked, quote(q.check.Body), said(body))
	}
	return ""
}

// read reads as much of a body as counts.
func read(body io.Reader) (string, error) {
	content, err := io.ReadAll(io.LimitReader(body, maxBody))
	return string(content), err
}

// said is the body at the end of a sentence.
func said(body string) string {
	if strings.TrimSpace(body) == "" {
		return ", with an empty body"
	}
	return ": " + quote(body)
}

// quote writes a text in quotes, cut and harmless.
func quote(text string) string {
	return `"` + strings.ReplaceAll(harmless(strings.TrimSpace(text)), `"`, `\"`) + `"`
}

// harmless cuts a text and takes from it what could do something to a log or a terminal: control characters, what changes
// the direction of writing, line breaks, and backticks, which end a code span.
func harmless(text string) string {
	var b strings.Builder
	runes := 0
	for _, r := range strings.ToValidUTF8(text, "\uFFFD") {
		if runes == maxQuote {
			b.WriteRune('…')
			break
		}
		runes++
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteRune(' ')
		case r == '`':
			b.WriteRune('\'')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			// As Go writes it: \x1b, \u202e.
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// innermost is the error that the client's own wrapping is about.
func innermost(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// short is the beginning of an allocation's id, as Nomad itself shortens it.
func short(alloc string) string { return alloc[:min(len(alloc), 8)] }
