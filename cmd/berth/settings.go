package main

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// applySettings gives the flags that were not set on the command line their value from the environment (BERTH_DATA for --data), and
// those that are not there either from a configuration file, whose keys are the flags' names. A key that is no flag is an error: a
// mistyped setting must not be silently without effect.
func applySettings(c *cobra.Command, path string) error {
	file, err := readSettings(path)
	if err != nil {
		return err
	}
	var problem error
	c.Flags().VisitAll(func(f *pflag.Flag) {
		value, from, ok := setting(f.Name, file)
		delete(file, f.Name)
		if f.Changed || !ok || problem != nil || f.Name == "config" {
			return
		}
		if err := c.Flags().Set(f.Name, value); err != nil {
			problem = usageError(fmt.Errorf("%s: %w", from, err), "")
		}
	})
	if problem != nil || len(file) == 0 {
		return problem
	}
	var unknown []string
	for key := range file {
		unknown = append(unknown, key)
	}
	sort.Strings(unknown)
	return usageError(fmt.Errorf("%s: there is no setting %s", path, strings.Join(unknown, ", ")), "`berth serve --help` lists them.")
}

func setting(name string, file map[string]any) (value, from string, ok bool) {
	env := "BERTH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if v, ok := os.LookupEnv(env); ok {
		return v, "the environment variable " + env, true
	}
	v, ok := file[name]
	if !ok || v == nil {
		return "", "", false
	}
	if list, isList := v.([]any); isList {
		parts := make([]string, len(list))
		for i, item := range list {
			parts[i] = fmt.Sprint(item)
		}
		return strings.Join(parts, ","), "setting " + name, true
	}
	return fmt.Sprint(v), "setting " + name, true
}

// maxSettings bounds a configuration file, in bytes.
const maxSettings = 1 << 20

func readSettings(path string) (map[string]any, error) {
	out := map[string]any{}
	if path == "" {
		return out, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, usageError(fmt.Errorf("read the configuration: %w", err), "")
	}
	if info.Size() > maxSettings {
		return nil, usageError(fmt.Errorf("read the configuration: %s is larger than %d bytes", path, maxSettings), "")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError(fmt.Errorf("read the configuration: %w", err), "")
	}
	if err := yaml.Unmarshal(text, &out); err != nil {
		return nil, usageError(fmt.Errorf("read the configuration %s: %w", path, err), "It is a YAML mapping of setting to value.")
	}
	if out == nil {
		out = map[string]any{}
	}
	return out, nil
}

var errNoAddress = errors.New("no IPv4 address")
