package text

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var commitForm = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// Commit is the id of the git commit that the work tree around dir is at; "" where there is none. It is read from the files of git
// (gitrepository-layout(5)); what was changed since that commit it does not see.
func Commit(dir string) string {
	git, err := gitDir(dir)
	if err != nil {
		return ""
	}
	head, err := readLine(filepath.Join(git, "HEAD"))
	if err != nil {
		return ""
	}
	name, symbolic := strings.CutPrefix(head, "ref: ")
	if !symbolic {
		return commitOf(head)
	}
	if !filepath.IsLocal(name) {
		return ""
	}
	// The branches of a work tree beside the main one are in the directory that commondir names.
	common := git
	if line, err := readLine(filepath.Join(git, "commondir")); err == nil {
		if common = line; !filepath.IsAbs(line) {
			common = filepath.Join(git, line)
		}
	}
	if line, err := readLine(filepath.Join(common, name)); err == nil {
		return commitOf(line)
	}
	return packed(filepath.Join(common, "packed-refs"), name)
}

func commitOf(s string) string {
	if commitForm.MatchString(s) {
		return s
	}
	return ""
}

// gitDir finds the repository of the work tree that dir lies in.
func gitDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, ".git")
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			return path, nil
		case err == nil: // a work tree beside the main one, or a submodule
			line, err := readLine(path)
			if err != nil {
				return "", err
			}
			to, ok := strings.CutPrefix(line, "gitdir: ")
			if !ok {
				return "", errors.New("no git directory")
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(dir, to)
			}
			return to, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", os.ErrNotExist
		}
		dir = up
	}
}

func readLine(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line), nil
}

// packed looks a branch up in the file into which git packs them.
func packed(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if id, ref, ok := strings.Cut(strings.TrimSpace(line), " "); ok && ref == name {
			return commitOf(id)
		}
	}
	return ""
}
