package policies

import (
	"embed"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
)

//go:embed builtin/*.hcl
var builtinFiles embed.FS

// defaultStrategy is the shipped policy whose strategy a release gets that says none.
const defaultStrategy = builtinPrefix + "standard"

// Builtin is the source of every shipped policy, by the name that releases refer to it: "builtin/standard". The caller
// owns the result.
func Builtin() map[string][]byte {
	sources := map[string][]byte{}
	entries, err := builtinFiles.ReadDir("builtin")
	if err != nil {
		panic(fmt.Sprintf("read the embedded policies: %v", err))
	}
	for _, e := range entries {
		file := path.Join("builtin", e.Name())
		src, err := builtinFiles.ReadFile(file)
		if err != nil {
			panic(fmt.Sprintf("read the embedded policy %s: %v", file, err))
		}
		sources[strings.TrimSuffix(file, ".hcl")] = src
	}
	return sources
}

// shipped is the shipped policies, decoded, and what the one with the defaults says. They are shared: callers do not
// change them. A mistake in one is a mistake in Drover.
var shipped = sync.OnceValues(func() (all []policy, standard settings) {
	for name, src := range Builtin() {
		p, diags := decodeBuiltin(name, src)
		if diags.HasErrors() {
			panic(fmt.Sprintf("the shipped policy %s is broken: %v", name, diags))
		}
		all = append(all, p)
		if name == defaultStrategy {
			standard = p.settings
		}
	}
	return all, standard
})

func decodeBuiltin(name string, src []byte) (policy, hcl.Diagnostics) {
	file, diags := parseSource(name+".hcl", src)
	if diags.HasErrors() {
		return policy{}, diags
	}
	content, diags := file.Body.Content(policyFileSchema)
	if len(content.Blocks) != 1 {
		return policy{}, append(diags, fault("Not one policy", startOf(name), "A shipped file holds one policy."))
	}
	p, d := decodePolicyBlock(content.Blocks[0])
	p.name = builtinPrefix + p.name
	// A release that overrides nothing is told about its own line, not about one it cannot see.
	p.settings.at = nil
	return p, append(diags, d...)
}
