package look

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"berth/storage/disk"
)

// diskLimitTime bounds the reading of what is on all disks.
const diskLimitTime = 30 * time.Second

// listDisks asks and examines each disk that exists for this look.
func (l *Live) listDisks() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), diskLimitTime)
	defer cancel()
	found, err := disk.List(ctx, disk.ListOptions{Loop: l.Only != nil})
	if err != nil {
		return nil, err
	}
	if l.Only != nil {
		found = slices.DeleteFunc(found, func(f disk.Found) bool { return !slices.Contains(l.Only, f.Path) })
	}
	list := make([]Disk, len(found))
	each(len(found), func(i int) { list[i] = l.examine(ctx, found[i]) })
	reply, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("list the disks: %w", err)
	}
	return reply, nil
}

// examine asks a disk who it is and reads what is on it. One that cannot be opened is there all the same, and counts as not read.
func (l *Live) examine(ctx context.Context, f disk.Found) Disk {
	seen := Disk{Name: f.Name}
	seen.Disk, seen.ReadOnly, seen.Removable = f.Disk, f.ReadOnly, f.Removable
	device, err := disk.Open(f.Path, disk.Options{AllowLoop: l.Only != nil})
	if err != nil {
		seen.Content.Incomplete = err.Error()
		return seen
	}
	defer device.Close()
	identity, err := device.Identity()
	if err != nil {
		seen.Content.Incomplete = err.Error()
		return seen
	}
	seen.Disk = identity
	seen.Content = device.Probe(ctx)
	return seen
}
