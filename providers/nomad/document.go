package nomad

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// document is a job as Nomad wrote it: JSON, numbers untouched. Only what Drover changes is ever reached into.
type document map[string]any

// decodeDocument reads a job. Numbers stay as written.
func decodeDocument(raw []byte) (document, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var doc document
	if err := decoder.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode job: %w", err)
	}
	return doc, nil
}

// job is the document in the client's structs, for reading.
func (d document) job() (*api.Job, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	var job api.Job
	if err := json.Unmarshal(raw, &job); err != nil {
		return nil, fmt.Errorf("decode job: %w", err)
	}
	return &job, nil
}

// groups are the task groups, to be read and changed in place.
func (d document) groups() []map[string]any {
	list, _ := d["TaskGroups"].([]any)
	var groups []map[string]any
	for _, g := range list {
		if group, ok := g.(map[string]any); ok {
			groups = append(groups, group)
		}
	}
	return groups
}

// clone is a copy that shares nothing with the document.
func (d document) clone() (document, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encode job: %w", err)
	}
	return decodeDocument(raw)
}

// ofServer are the fields that the server gives to a stored job. They say nothing about what it runs.
var ofServer = []string{
	"Stop", "Status", "StatusDescription", "Stable", "Version", "SubmitTime", "CreateIndex", "ModifyIndex",
	"JobModifyIndex", "VersionTag", "NomadTokenID",
}

// forgetServer takes out what the server added, so that the job can be registered anew.
func (d document) forgetServer() {
	for _, field := range ofServer {
		delete(d, field)
	}
}
