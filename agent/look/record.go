package look

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"berth/inventory"
)

// Recording is the raw material of one look at one machine, with which the look can be repeated anywhere. It is a Source itself.
// What it does not hold was not there.
//
// As a file it is a gzipped tar: file/ holds what files said, dir/ the names in directories, link/ the targets of links, and ask/
// the replies of devices, by question and device.
type Recording struct {
	mu      sync.Mutex
	entries map[string][]byte
}

const (
	recordingEntries = 50_000
	recordingBytes   = 64 << 20
)

// Record looks at a machine and returns what was read on the way. The names of PCI devices are left out: every machine has the list.
func Record(s Source, now time.Time) (*Recording, inventory.Facts) {
	r := &Recording{entries: map[string][]byte{}}
	facts := Facts(recorder{s, r}, now, "")
	return r, facts
}

// recorder notes what another source said.
type recorder struct {
	Source
	to *Recording
}

func (r recorder) ReadFile(name string) ([]byte, error) {
	raw, err := r.Source.ReadFile(name)
	if err == nil && !strings.HasPrefix(name, "usr/") {
		r.to.put("file/"+name, raw)
	}
	return raw, err
}

func (r recorder) ReadDir(name string) ([]string, error) {
	names, err := r.Source.ReadDir(name)
	if err == nil {
		r.to.put("dir/"+name, []byte(strings.Join(names, "\n")))
	}
	return names, err
}

func (r recorder) ReadLink(name string) (string, error) {
	target, err := r.Source.ReadLink(name)
	if err == nil {
		r.to.put("link/"+name, []byte(target))
	}
	return target, err
}

func (r recorder) Ask(q Question, device string) ([]byte, error) {
	reply, err := r.Source.Ask(q, device)
	if err == nil {
		r.to.put(askName(q, device), reply)
	}
	return reply, err
}

func askName(q Question, device string) string { return "ask/" + string(q) + "/" + device }

func (r *Recording) put(name string, value []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[name] = value
}

func (r *Recording) get(name string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	value, there := r.entries[name]
	if !there {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return value, nil
}

// ReadFile implements Source.
func (r *Recording) ReadFile(name string) ([]byte, error) { return r.get("file/" + name) }

// ReadDir implements Source.
func (r *Recording) ReadDir(name string) ([]string, error) {
	raw, err := r.get("dir/" + name)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	names := strings.Split(string(raw), "\n")
	return names[:min(len(names), dirLimit)], nil
}

// ReadLink implements Source.
func (r *Recording) ReadLink(name string) (string, error) {
	raw, err := r.get("link/" + name)
	return string(raw), err
}

// Ask implements Source.
func (r *Recording) Ask(q Question, device string) ([]byte, error) { return r.get(askName(q, device)) }

// Write writes the recording as a file. Equal recordings make equal bytes.
func (r *Recording) Write(w io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(r.entries)) {
		value := r.entries[name]
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(value)), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("record %s: %w", name, err)
		}
		if _, err := archive.Write(value); err != nil {
			return fmt.Errorf("record %s: %w", name, err)
		}
	}
	if err := errors.Join(archive.Close(), zipped.Close()); err != nil {
		return fmt.Errorf("finish the recording: %w", err)
	}
	return nil
}

// ReadRecording reads a recording that somebody sent: of bounded size, and nothing in it becomes a file here.
func ReadRecording(from io.Reader) (*Recording, error) {
	zipped, err := gzip.NewReader(from)
	if err != nil {
		return nil, fmt.Errorf("read the recording: %w", err)
	}
	archive := tar.NewReader(io.LimitReader(zipped, recordingBytes))
	r := &Recording{entries: map[string][]byte{}}
	for len(r.entries) <= recordingEntries {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the recording: %w", err)
		}
		var value bytes.Buffer
		if _, err := io.Copy(&value, io.LimitReader(archive, fileLimit)); err != nil {
			return nil, fmt.Errorf("read %.100q of the recording: %w", header.Name, err)
		}
		r.entries[header.Name] = value.Bytes()
	}
	return nil, fmt.Errorf("the recording has more than %d entries", recordingEntries)
}
