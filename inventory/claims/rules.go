package claims

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"berth/inventory"
)

//go:embed rules.yaml
var defaultRules []byte

// Rule is one row of the rules file; its comment there explains each field.
type Rule struct {
	Name      string         `yaml:"rule"`
	Regime    string         `yaml:"regime"`
	Modes     []string       `yaml:"modes"`
	Carriers  []string       `yaml:"carriers"`
	Scope     string         `yaml:"scope"`
	What      What           `yaml:"what"`
	About     string         `yaml:"about"`
	From      []Start        `yaml:"from"`
	Unless    Start          `yaml:"unless"`
	Days      int            `yaml:"days"`
	Months    int            `yaml:"months"`
	Years     int            `yaml:"years"`
	Except    string         `yaml:"except"`
	DaysFrom  string         `yaml:"days_from"`
	NotBefore int            `yaml:"not_before"`
	Cap       string         `yaml:"cap"`
	Source    string         `yaml:"source"`
	CheckedOn inventory.Date `yaml:"checked_on"`
	Unsure    bool           `yaml:"unsure"`
}

// What must be done by the day, or what the day means.
type What string

// What a rule is about.
const (
	Notice   What = "notice"
	Claim    What = "claim"
	Suit     What = "suit"
	Lost     What = "lost"     // from this day it counts as lost
	Earliest What = "earliest" // from this day one may claim
)

// Milestone tells the days that cannot be missed: something becomes possible on them, and nothing ends.
func (w What) Milestone() bool { return w == Lost || w == Earliest }

// Start is a day that a rule counts from.
type Start string

// The days that rules count from.
const (
	HandedOver Start = "handed_over"
	Promised   Start = "promised"
	Delivered  Start = "delivered"
	Disposal   Start = "disposal"
)

// Rules is a rules file that was read and found sound.
type Rules struct {
	Rows []Rule
}

// Bounds of a rules file, which a person may have written or fetched.
const (
	maxRulesFile = 1 << 20 // bytes
	maxRules     = 1000
	maxSpan      = 50 * 366 // days
)

// Default is the rules that come with berth.
func Default() *Rules {
	rules, err := ReadRules(bytes.NewReader(defaultRules))
	if err != nil {
		panic("claims: the rules that come with berth: " + err.Error()) // a test reads them
	}
	return rules
}

// ReadRules reads a rules file. Everything that is wrong with it is said at once; an unknown key is an error, because a misspelt one
// would be a deadline that nobody is told of.
func ReadRules(r io.Reader) (*Rules, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxRulesFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the deadline rules: %w", err)
	}
	if len(text) > maxRulesFile {
		return nil, fmt.Errorf("read the deadline rules: more than %d bytes", maxRulesFile)
	}
	var file struct {
		Version int    `yaml:"version"`
		Rules   []Rule `yaml:"rules"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("read the deadline rules: %w", err)
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("read the deadline rules: version %d is not known, 1 is", file.Version)
	}
	if len(file.Rules) > maxRules {
		return nil, fmt.Errorf("read the deadline rules: more than %d", maxRules)
	}
	return &Rules{Rows: file.Rules}, judgeRules(file.Rules)
}

var ruleForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,99}$`)

func judgeRules(rows []Rule) error {
	var errs []error
	seen := map[string]bool{}
	for i, row := range rows {
		name := row.Name
		if !ruleForm.MatchString(name) {
			name = fmt.Sprintf("row %d", i+1)
			errs = append(errs, fmt.Errorf("%s: its name is lower-case letters, digits and hyphens, at most 100", name))
		}
		if seen[row.Name] {
			errs = append(errs, fmt.Errorf("%s: there are two rules of this name", name))
		}
		seen[row.Name] = true
		for _, why := range row.problems() {
			errs = append(errs, fmt.Errorf("%s: %s", name, why))
		}
	}
	return errors.Join(errs...)
}

var (
	ruleModes  = []string{"air", "road", "sea", "rail", "post"}
	ruleScopes = []string{"", "international", "domestic"}
	ruleWhats  = []What{Notice, Claim, Suit, Lost, Earliest}
	ruleStarts = []Start{HandedOver, Promised, Delivered, Disposal}
)

// problems lists what is wrong with a row.
func (r Rule) problems() []string {
	var out []string
	say := func(bad bool, why string) {
		if bad {
			out = append(out, why)
		}
	}
	for _, mode := range r.Modes {
		say(!slices.Contains(ruleModes, mode), "modes are air, road, sea, rail or post")
	}
	for _, start := range r.From {
		say(!slices.Contains(ruleStarts, start), "from is handed_over, promised, delivered or disposal")
	}
	_, dateErr := inventory.ParseDate(string(r.CheckedOn))
	say(len(r.From) == 0, "from is missing")
	say(r.Unless != "" && !slices.Contains(ruleStarts, r.Unless), "unless is one of the days that from may name")
	say(!slices.Contains(ruleScopes, r.Scope), "scope is international, domestic or empty")
	say(!slices.Contains(ruleWhats, r.What), "what is notice, claim, suit, lost or earliest")
	say(r.Except != "" && r.Except != "sundays" && r.Except != "weekends", "except is sundays or weekends")
	say(r.DaysFrom != "" && r.DaysFrom != "policy", "days_from is policy or empty")
	say(dateErr != nil, "checked_on is a date such as 2026-11-22")
	say(strings.TrimSpace(r.Source) == "", "source is missing: a rule without one cannot be checked by anybody")
	spans := 0
	for _, n := range []int{r.Days, r.Months, r.Years} {
		say(n < 0 || n > maxSpan, "the span is too long, or negative")
		if n > 0 {
			spans++
		}
	}
	say(r.DaysFrom == "" && spans != 1, "one of days, months and years is given")
	say(r.DaysFrom != "" && spans != 0, "days_from stands alone")
	say(r.NotBefore < 0 || r.NotBefore > maxSpan, "not_before is a number of days")
	return out
}
