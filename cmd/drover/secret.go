package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// secret is where a secret of a block is found: in the environment, or in a file. Both are attributes named after it.
type secret struct {
	block string // the block that it is of
	name  string // NAME_env and NAME_file are its attributes
	env   string // the variable
	file  string // the path
}

func (s secret) given() bool { return s.env != "" || s.file != "" }

// check refuses both at once.
func (s secret) check(at func(string) hcl.Range) hcl.Diagnostics {
	if s.env == "" || s.file == "" {
		return nil
	}
	return hcl.Diagnostics{fault("Two secrets", at(s.name+"_file"), "Both %s_env and %s_file are set: leave one out.", s.name, s.name)}
}

// read is the secret as it is now; "" when none is configured. An empty one is an error.
func (s secret) read() (string, error) {
	var text string
	switch {
	case s.env != "":
		if text = os.Getenv(s.env); strings.TrimSpace(text) == "" {
			return "", fmt.Errorf("%s: the environment variable %s (%s_env) is not set", s.block, s.env, s.name)
		}
	case s.file != "":
		content, err := os.ReadFile(s.file)
		if err != nil {
			return "", fmt.Errorf("%s: read %s_file: %w", s.block, s.name, err)
		}
		if text = strings.TrimRight(string(content), "\r\n"); strings.TrimSpace(text) == "" {
			return "", fmt.Errorf("%s: the file %s (%s_file) is empty", s.block, s.file, s.name)
		}
	}
	return text, nil
}

// fault is a mistake in drover.hcl: the summary is a noun phrase, the detail says what to do.
func fault(summary string, at hcl.Range, detail string, args ...any) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &at}
}

// placesOf tells where the attributes of a block are, for complaints about them; those that are not there are at its
// head.
func placesOf(body hcl.Body, head hcl.Range) func(name string) hcl.Range {
	attrs, _ := body.JustAttributes()
	return func(name string) hcl.Range {
		if attr := attrs[name]; attr != nil {
			return attr.Range
		}
		return head
	}
}
