package nomad

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// digest identifies what a parsed job runs: sha256 over its canonical JSON, in hexadecimal. Group counts and update
// blocks are left out, and so is everything empty (null, "", 0, false, [], {}), so that a Nomad with more fields
// parses the same jobspec to the same digest.
//
// Two kinds of emptiness are kept, because they say something: an entry of a map that the user keyed (an environment
// variable set to ""), and an explicit zero where Nomad tells it from absence (`attempts = 0` is not the default of
// 2). The latter are the fields that the client's structs hold by pointer.
func digest(parsed document) (string, error) {
	content := make(map[string]any, len(parsed))
	maps.Copy(content, parsed)
	canonical := canonicalStruct(content, reflect.TypeFor[api.Job]())
	text, err := json.Marshal(canonical)
	if err != nil {
		return "", fmt.Errorf("digest of job: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// notContent are the fields that Drover itself sets, by the struct they stand in.
var notContent = map[reflect.Type][]string{
	reflect.TypeFor[api.Job]():       {"Update"},
	reflect.TypeFor[api.TaskGroup](): {"Update", "Count"},
}

// canonicalStruct is the object without what is empty or Drover's to set. t is the client's struct for it, nil when it
// knows none.
func canonicalStruct(object map[string]any, t reflect.Type) map[string]any {
	kept := make(map[string]any, len(object))
	for key, value := range object {
		var fieldType reflect.Type
		if t != nil {
			if skipped(t, key) {
				continue
			}
			if field, ok := t.FieldByName(key); ok {
				fieldType = field.Type
			}
		}
		if value == nil {
			continue
		}
		value = canonical(value, fieldType)
		explicit := fieldType != nil && fieldType.Kind() == reflect.Pointer
		if explicit || !isEmpty(value) {
			kept[key] = value
		}
	}
	return kept
}

func skipped(t reflect.Type, key string) bool {
	return slices.Contains(notContent[t], key)
}

func canonical(value any, t reflect.Type) any {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch value := value.(type) {
	case map[string]any:
		if t == nil || t.Kind() == reflect.Struct {
			return canonicalStruct(value, t)
		}
		return canonicalMap(value, t)
	case []any:
		list := make([]any, 0, len(value))
		for _, item := range value {
			list = append(list, canonical(item, element(t)))
		}
		return list
	}
	return value
}

// canonicalMap keeps every key, since the user chose them.
func canonicalMap(object map[string]any, t reflect.Type) map[string]any {
	kept := make(map[string]any, len(object))
	for key, value := range object {
		if item := element(t); item != nil && item.Kind() != reflect.Interface {
			value = canonical(value, item)
		}
		kept[key] = value
	}
	return kept
}

func element(t reflect.Type) reflect.Type {
	if t == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Map, reflect.Slice, reflect.Array:
		return t.Elem()
	}
	return nil
}

func isEmpty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case bool:
		return !value
	case json.Number:
		f, err := value.Float64()
		return err == nil && f == 0
	case []any:
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

// sameSpec tells whether two stored versions run the same: equal in all but counts, update blocks and what the server
// adds.
func sameSpec(a, b document) (bool, error) {
	left, err := contentOf(a)
	if err != nil {
		return false, err
	}
	right, err := contentOf(b)
	if err != nil {
		return false, err
	}
	return reflect.DeepEqual(left, right), nil
}

func contentOf(stored document) (map[string]any, error) {
	doc, err := stored.clone()
	if err != nil {
		return nil, err
	}
	doc.forgetServer()
	for _, group := range doc.groups() {
		if scaling, ok := group["Scaling"].(map[string]any); ok {
			for _, field := range []string{"ID", "Namespace", "Target", "CreateIndex", "ModifyIndex"} {
				delete(scaling, field)
			}
		}
	}
	return canonicalStruct(doc, reflect.TypeFor[api.Job]()), nil
}
