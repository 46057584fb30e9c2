package nomad

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/drover-dev/drover/strategy"
)

// Parse asks Nomad what the jobspec says, and whether it would take the job. It changes nothing. A jobspec that Nomad
// does not accept is strategy.ErrInvalid; the text names path, line and remedy.
func (c *Cluster) Parse(ctx context.Context, source strategy.JobSource) (strategy.JobSpec, error) {
	parsed, err := c.parse(ctx, source)
	if err != nil {
		return strategy.JobSpec{}, err
	}
	if err := c.validate(ctx, parsed, source); err != nil {
		return strategy.JobSpec{}, err
	}
	return c.specOf(parsed, source)
}

// validate asks Nomad whether it would take the job: what the parser lets pass, such as a task without a driver.
// Where Nomad does not let us ask, the registration will tell.
func (c *Cluster) validate(ctx context.Context, parsed document, source strategy.JobSource) error {
	job, err := parsed.clone()
	if err != nil {
		return fmt.Errorf("validate %s: %w", source.Path, err)
	}
	if source.Namespace != "" {
		job["Namespace"] = source.Namespace
	}
	var answer api.JobValidateResponse
	_, err = c.client.Raw().Write("/v1/validate/job", map[string]any{"Job": job}, &answer, write(ctx, source.Namespace))
	switch statusOf(err) {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		c.logger.WarnContext(ctx, "jobspec not validated before registration", "path", source.Path, "status", statusOf(err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("validate %s: %w", source.Path, err)
	}
	if answer.Error != "" {
		return fmt.Errorf("%w: %s: %s", strategy.ErrInvalid, source.Path, flatten(answer.Error))
	}
	return nil
}

// flatten makes one line of Nomad's nested lists of validation errors.
func flatten(text string) string {
	var parts []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "*"))
		if line = errorCount.ReplaceAllString(line, ""); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.ReplaceAll(strings.Join(parts, "; "), "failed:; ", "failed: ")
}

// errorCount is the head of such a list.
var errorCount = regexp.MustCompile(`(^| )\d+ errors? occurred:$`)

// parsedLimit is how many answers of Nomad's parser are kept: a commit has its jobspecs looked at, and registered a moment
// later.
const parsedLimit = 256

// parsed is what Nomad's parser made of a source.
type parsed struct {
	jobspec, variables, namespace string
	answer                        json.RawMessage
}

func (p parsed) of(s strategy.JobSource) bool {
	return p.jobspec == s.Jobspec && p.variables == s.Variables && p.namespace == s.Namespace
}

// askParser has Nomad parse a source, unless it did lately.
func (c *Cluster) askParser(ctx context.Context, source strategy.JobSource) (json.RawMessage, error) {
	c.mu.Lock()
	i := slices.IndexFunc(c.parsed, func(p parsed) bool { return p.of(source) })
	if i >= 0 {
		defer c.mu.Unlock()
		return c.parsed[i].answer, nil
	}
	c.mu.Unlock()
	request := api.JobsParseRequest{JobHCL: source.Jobspec, Variables: source.Variables}
	var answer json.RawMessage
	if _, err := c.client.Raw().Write("/v1/jobs/parse", &request, &answer, write(ctx, source.Namespace)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parsed = append(c.parsed, parsed{source.Jobspec, source.Variables, source.Namespace, answer})
	c.parsed = c.parsed[max(0, len(c.parsed)-parsedLimit):]
	return answer, nil
}

// parse is the job as Nomad's parser gives it, without defaults.
func (c *Cluster) parse(ctx context.Context, source strategy.JobSource) (document, error) {
	raw, err := c.askParser(ctx, source)
	if err != nil {
		if statusOf(err) == http.StatusBadRequest {
			return nil, invalid(source, bodyOf(err))
		}
		return nil, fmt.Errorf("parse %s: %w", source.Path, err)
	}
	doc, err := decodeDocument(raw)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", source.Path, err)
	}
	if id, _ := doc["ID"].(string); id == "" {
		return nil, fmt.Errorf("%w: %s: the job has no name: write job \"name\" { … }", strategy.ErrInvalid, source.Path)
	}
	return doc, nil
}

func (c *Cluster) specOf(parsed document, source strategy.JobSource) (strategy.JobSpec, error) {
	job, err := parsed.job()
	if err != nil {
		return strategy.JobSpec{}, fmt.Errorf("read job of %s: %w", source.Path, err)
	}
	sum, err := digest(parsed)
	if err != nil {
		return strategy.JobSpec{}, fmt.Errorf("read job of %s: %w", source.Path, err)
	}
	spec := strategy.JobSpec{
		Ref:              strategy.JobRef{Namespace: c.namespace(source.Namespace, job), ID: deref(job.ID)},
		Type:             jobType(job),
		Digest:           sum,
		ProgressDeadline: progressDeadline(job),
		Refusals:         refusals(job),
		Warnings:         warnings(job, source),
	}
	for _, group := range job.TaskGroups {
		spec.Groups = append(spec.Groups, strategy.GroupSpec{
			Name: deref(group.Name), Count: groupCount(group), Services: nomadServices(job, group), Checked: withChecks(job, group), Scaled: isScaled(group), MaxParallel: maxParallel(job, group),
			ShutdownDelay: shutdownDelay(group),
		})
	}
	return spec, nil
}

// namespace is where the job goes: what the release says, what the jobspec says, what Drover is set to.
func (c *Cluster) namespace(override string, job *api.Job) string {
	return cmp.Or(override, deref(job.Namespace), c.fallback)
}

// diagnostic is one line of the parser's answer: "input.hcl:3,4-9: Summary; Detail", or "<nil>: Summary; Detail".
var diagnostic = regexp.MustCompile(`^(?:input\.hcl:(\d+),\d+(?:-[\d,]+)?|<nil>): ([^;]*)(?:; (.*))?$`)

// invalid turns the parser's answer into an error that names the file in the repository and what to do.
func invalid(source strategy.JobSource, body string) error {
	text := strings.TrimPrefix(body, "Failed to parse job: ")
	text = strings.TrimPrefix(text, "unable to parse var content: ")
	inVariables := strings.Contains(body, "unable to parse var content")
	var mistakes []string
	for line := range strings.SplitSeq(text, "\n") {
		if said := explain(source, strings.TrimSpace(line), inVariables); said != "" {
			mistakes = append(mistakes, said)
		}
	}
	if len(mistakes) == 0 {
		mistakes = []string{source.Path + ": " + body}
	}
	return fmt.Errorf("%w: %s", strategy.ErrInvalid, strings.Join(mistakes, "\n"))
}

// explain puts one diagnostic into words. It is "" for one that only follows from another.
func explain(source strategy.JobSource, line string, inVariables bool) string {
	match := diagnostic.FindStringSubmatch(line)
	if match == nil {
		if line == "" {
			return ""
		}
		return source.Path + ": " + line
	}
	number, summary, detail := match[1], match[2], match[3]
	switch {
	case strings.HasPrefix(summary, "Unset variable"):
		name := quoted(summary)
		return fmt.Sprintf("%s%s: the variable %q is not set: give it in the release's variables block or in a var file, or declare a default%s",
			source.Path, declaredAt(source.Jobspec, name), name, setInstead(source, name))
	case summary == "Undefined variable":
		return "" // A variable that the jobspec does not declare is no mistake; it is only said along with one.
	case summary == "Invalid value for variable":
		return fmt.Sprintf("%s: the release sets `%s`: %s", source.Path, sourceLine(source.Variables, number), detail)
	}
	where := source.Path
	if number != "" {
		where += ":" + number
	}
	if inVariables {
		where = "variables of " + where
	}
	if disabled := fileFunction(summary, detail); disabled != "" {
		return fmt.Sprintf("%s: %s reads a file, and Nomad's server has none: put the content into the jobspec (a heredoc), "+
			"pass it as a variable of the release, or fetch it with an artifact block", where, disabled)
	}
	if strings.Contains(detail, "value must be known") {
		return "" // Follows from the call that could not be made.
	}
	if detail == "" {
		return where + ": " + lowerFirst(summary)
	}
	return where + ": " + lowerFirst(summary) + ": " + detail
}

// fileFunctions are the functions that exist where `nomad job run` runs, and not on a server.
var fileFunctions = []string{"file", "filebase64", "fileexists", "fileset", "abspath", "basename", "dirname", "pathexpand", "templatefile"}

var calledFunction = regexp.MustCompile(`(?:Call to function|There is no function named) "([^"]+)"`)

// fileFunction names the function that was refused because it reads files; "" when it was something else.
func fileFunction(summary, detail string) string {
	match := calledFunction.FindStringSubmatch(detail)
	if match == nil {
		return ""
	}
	if summary == "Error in function call" && !strings.Contains(detail, "filesystem function disabled") {
		return ""
	}
	for _, name := range fileFunctions {
		if match[1] == name {
			return name + "()"
		}
	}
	return ""
}

// setInstead names the variable that the release sets, and the jobspec does not declare, when it is probably this one.
func setInstead(source strategy.JobSource, name string) string {
	var stray []string
	for _, set := range variablesSet(source) {
		if declaredAt(source.Jobspec, set) == "" {
			stray = append(stray, set)
		}
	}
	if meant := strategy.DidYouMean(name, stray); meant != "" {
		return fmt.Sprintf(" (the release sets %q)", quoted(meant))
	}
	return ""
}

// variablesSet are the names of the input variables that the release sets.
func variablesSet(source strategy.JobSource) []string {
	var names []string
	for line := range strings.Lines(source.Variables) {
		if name, _, ok := strings.Cut(line, " = "); ok {
			names = append(names, name)
		}
	}
	return names
}

// declaredAt is ":line" of the variable's declaration, or "".
func declaredAt(jobspec, variable string) string {
	declaration := regexp.MustCompile(`^\s*variable\s+"?` + regexp.QuoteMeta(variable) + `"?\s*\{`)
	number := 0
	for line := range strings.Lines(jobspec) {
		number++
		if declaration.MatchString(line) {
			return ":" + strconv.Itoa(number)
		}
	}
	return ""
}

// sourceLine is the numbered line of a text, without surrounding space.
func sourceLine(text, number string) string {
	n, err := strconv.Atoi(number)
	lines := strings.Split(text, "\n")
	if err != nil || n < 1 || n > len(lines) {
		return "a variable"
	}
	return strings.TrimSpace(lines[n-1])
}

func quoted(line string) string {
	_, rest, _ := strings.Cut(line, `"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
