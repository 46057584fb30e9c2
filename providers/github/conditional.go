package github

import (
	"bytes"
	"container/list"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
)

// The bounds of what is kept for conditional requests, and of one answer.
const (
	maxKept   = 64 << 20
	maxAnswer = 16 << 20
)

// conditional asks again only for what changed: it sends the tag of the answer that it kept, and gives that answer once
// more when GitHub says that it is still so. Such a request does not count against the hourly limit. Answers are kept by
// their address: tokens of an app change by the hour, and with them some tags.
type conditional struct {
	next http.RoundTripper

	mu    sync.Mutex
	size  int
	order *list.List // the newest first
	kept  map[string]*list.Element
}

type answer struct {
	address string
	tag     string
	header  http.Header
	body    []byte
}

func newConditional(next http.RoundTripper) *conditional {
	return &conditional{next: next, order: list.New(), kept: map[string]*list.Element{}}
}

// notModified marks an answer that GitHub did not count.
const notModified = "X-Drover-Not-Modified"

// RoundTrip does not change the request that it is given.
func (c *conditional) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		response, err := c.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		return whole(response)
	}
	known := c.get(r.URL.String())
	if known != nil {
		r = r.Clone(r.Context())
		r.Header.Set("If-None-Match", known.tag)
	}
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusNotModified && known != nil {
		response.Body.Close()
		header := known.header.Clone()
		maps.Copy(header, response.Header)
		header.Del("Content-Length")
		header.Set(notModified, "true")
		return &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Proto: response.Proto, ProtoMajor: response.ProtoMajor, ProtoMinor: response.ProtoMinor,
			Header: header, Body: io.NopCloser(bytes.NewReader(known.body)), ContentLength: int64(len(known.body)), Request: r,
		}, nil
	}
	if response, err = whole(response); err != nil {
		return nil, err
	}
	if tag := response.Header.Get("ETag"); tag != "" && response.StatusCode == http.StatusOK {
		body, _ := io.ReadAll(response.Body) // It is in memory.
		response.Body = io.NopCloser(bytes.NewReader(body))
		c.put(&answer{address: r.URL.String(), tag: tag, header: response.Header.Clone(), body: body})
	}
	return response, nil
}

// whole reads the body of an answer, within bounds, so that an answer that breaks off is an error of the request.
func whole(response *http.Response) (*http.Response, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer to %s has over %d bytes", response.Request.URL.Path, maxAnswer)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func (c *conditional) get(address string) *answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.kept[address]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*answer)
}

func (c *conditional) put(a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.kept[a.address]; e != nil {
		c.drop(e)
	}
	c.kept[a.address] = c.order.PushFront(a)
	c.size += len(a.body)
	for c.size > maxKept {
		c.drop(c.order.Back())
	}
}

// drop takes an answer out. The lock is held.
func (c *conditional) drop(e *list.Element) {
	a := c.order.Remove(e).(*answer)
	delete(c.kept, a.address)
	c.size -= len(a.body)
}
