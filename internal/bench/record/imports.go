package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"berth/internal/bench"
)

const (
	writers = 20
	// thinking is the pause between two edits of a writer.
	thinking = 20 * time.Millisecond
)

// imports measures what moving in costs, with people at work meanwhile. The files are those that `berth dev sample` makes.
func (m *measurement) imports(ctx context.Context) error {
	dir := filepath.Join(m.Dir, "sample")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if text, err := exec.CommandContext(ctx, m.berth, "dev", "sample", dir).CombinedOutput(); err != nil {
		fmt.Fprintf(m.out, "imports are not measured: berth dev sample: %v: %s\n", err, text)
		return nil
	}
	table, err := os.ReadFile(filepath.Join(dir, "assets.csv"))
	if err != nil {
		return err
	}
	took, err := m.bring(ctx, table, url.Values{"format": {"csv"}, "noun": {"asset"}, "name": {"assets.csv"}, "dry_run": {"true"}})
	if err != nil {
		return err
	}
	m.figures["its dry run (s)"] = fmt.Sprintf("%.1f", took.Seconds())
	err = m.amongWriters(ctx, func() (err error) {
		took, err = m.bring(ctx, table, url.Values{"format": {"csv"}, "noun": {"asset"}, "name": {"assets.csv"}})
		return err
	})
	if err != nil {
		return err
	}
	m.figures["import of 10,000 rows of CSV (s)"] = fmt.Sprintf("%.1f", took.Seconds())
	library, err := packed(filepath.Join(dir, "library"))
	if err != nil {
		return err
	}
	for _, bar := range []string{"3,000 device types (s)", "the same again (s)"} {
		if took, err = m.bring(ctx, library, url.Values{"format": {"devicetypes"}, "name": {"library.zip"}}); err != nil {
			return err
		}
		m.figures[bar] = fmt.Sprintf("%.1f", took.Seconds())
	}
	return nil
}

// bring imports a file.
func (m *measurement) bring(ctx context.Context, file []byte, v url.Values) (time.Duration, error) {
	answer, took, err := m.Send(ctx, http.MethodPost, "/api/v1/imports?"+v.Encode(), "application/octet-stream", file)
	if err != nil {
		return 0, err
	}
	var report struct {
		Errors []struct{ Text, Problem string }
	}
	if err := json.Unmarshal(answer, &report); err != nil {
		return 0, err
	}
	if len(report.Errors) > 0 {
		return 0, fmt.Errorf("the import %s has errors: %.500s", v.Get("name"), answer)
	}
	return took, nil
}

// packed is a directory as a zip file.
func packed(dir string) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	if err := z.AddFS(os.DirFS(dir)); err != nil {
		return nil, err
	}
	err := z.Close()
	return out.Bytes(), err
}

// amongWriters runs work while others edit an asset each, again and again, and notes how long their edits took.
func (m *measurement) amongWriters(ctx context.Context, work func() error) error {
	body, _, err := m.Get(ctx, fmt.Sprintf("/api/v1/assets?limit=%d", writers))
	if err != nil {
		return err
	}
	var page struct{ Items []struct{ UID string } }
	if err := json.Unmarshal(body, &page); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	failures := 0
	var crowd sync.WaitGroup
	for _, asset := range page.Items {
		crowd.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				_, took, err := m.Send(ctx, http.MethodPatch, "/api/v1/assets/"+asset.UID, "application/json", fmt.Appendf(nil, `{"notes":"written %d times"}`, n))
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				all = append(all, took)
				if err != nil {
					failures, failed = failures+1, err
				}
				mu.Unlock()
				select {
				case <-time.After(thinking):
				case <-ctx.Done():
				}
			}
		})
	}
	err = work()
	stop()
	crowd.Wait()
	if failed != nil {
		fmt.Fprintf(m.out, "a writer's error: %v\n", failed)
	}
	m.figures["20 writers meanwhile, p99 (ms)"] = fmt.Sprintf("%s of %d", bench.Millis(bench.Percentile(all, 99)), len(all))
	m.figures["writers' errors"] = fmt.Sprint(failures)
	if errors.Is(err, context.Canceled) && failed != nil {
		return failed
	}
	return err
}
