package nomad

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/drover-dev/drover/strategy"
)

// markerPrefix begins the first line of the source that is stored with every version Drover registers. It is a
// comment to Nomad.
const markerPrefix = "# drover: "

// markSource puts the marker in front of a source, in place of an older one.
func markSource(marker strategy.Marker, source string) (string, error) {
	text, err := json.Marshal(marker)
	if err != nil {
		return "", fmt.Errorf("write the marker of rollout %s: %w", marker.Rollout, err)
	}
	return markerPrefix + string(text) + "\n" + unmarkSource(source), nil
}

// unmarkSource is the source without its marker line.
func unmarkSource(source string) string {
	if !strings.HasPrefix(source, markerPrefix) {
		return source
	}
	_, rest, _ := strings.Cut(source, "\n")
	return rest
}

// readMarker is the marker of a source. A line that looks like one and cannot be read is none: a person wrote it.
func readMarker(source string) (strategy.Marker, bool) {
	line, _, _ := strings.Cut(source, "\n")
	text, ok := strings.CutPrefix(line, markerPrefix)
	if !ok {
		return strategy.Marker{}, false
	}
	var marker strategy.Marker
	if err := json.Unmarshal([]byte(text), &marker); err != nil || marker.Instance == "" {
		return strategy.Marker{}, false
	}
	return marker, true
}

// versionVariable finds the `version` variable in the text of a variables file.
var versionVariable = regexp.MustCompile(`(?m)^\s*version\s*=\s*"((?:[^"\\]|\\.)*)"`)

func readVersion(variables string) string {
	match := versionVariable.FindStringSubmatch(variables)
	if match == nil {
		return ""
	}
	return match[1]
}

// variablesOf is what a submission set, as the text of a variables file: values given by flag come last and replace
// those of the same name.
func variablesOf(variables string, flags map[string]string) string {
	if len(flags) == 0 {
		return variables
	}
	var kept []string
	for line := range strings.Lines(variables) {
		name, _, isAssignment := strings.Cut(line, "=")
		if _, replaced := flags[strings.TrimSpace(name)]; isAssignment && replaced {
			continue
		}
		kept = append(kept, strings.TrimRight(line, "\n"))
	}
	for _, name := range sortedKeys(flags) {
		kept = append(kept, name+" = "+flagValue(flags[name]))
	}
	return strings.Join(kept, "\n") + "\n"
}

// flagValue writes the value of a flag as HCL. Whether it is meant as text or as an expression depends on the type
// that the jobspec declares; text converts to numbers and booleans by itself, so only collections stay expressions.
func flagValue(value string) string {
	if trimmed := strings.TrimSpace(value); strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{") {
		return value
	}
	return quoteHCL(value)
}

// quoteHCL writes text as an HCL string without interpolation.
func quoteHCL(text string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "${", "$${", "%{", "%%{").Replace(text)
	return `"` + escaped + `"`
}
