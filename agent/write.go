package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"berth/api"
	"berth/inventory"
	"berth/storage"
	"berth/storage/disk"
	"berth/storage/image"
)

// write puts an image on the one disk it is meant for.
func (a *Agent) write(ctx context.Context, t *task) (*api.WriteResult, error) {
	began := time.Now()
	args := t.Write
	if args == nil {
		return nil, never("the assignment says neither which disk nor which image")
	}
	fetch, err := fetchOf(args)
	if err != nil {
		return nil, permanent{err}
	}
	if a.Disks == nil {
		return nil, never("this agent may not write disks")
	}
	device, err := a.Disks.open(ctx, args.Disk)
	if err != nil {
		return nil, lasting(err)
	}
	defer device.Close()
	fetch.Logger = a.Log
	source, err := fetch.Open(ctx)
	if err != nil {
		return nil, lasting(err)
	}
	defer source.Close()
	allowed := func(c storage.Content) error { return foreign(c, args.Consent, args.Ours || a.begun.has(device)) }
	guard := mayDestroy(ctx, args.Disk, args.Protect, allowed)
	result, err := disk.Write(ctx, device, source, disk.WriteOptions{
		Guard: func(d *disk.Device) error {
			if err := guard(d); err != nil {
				return err
			}
			if err := t.begin(ctx); err != nil {
				return err
			}
			a.begun.add(d)
			return nil
		},
		Seed:     seedOf(args.Seed),
		Progress: func(p disk.Progress) { t.Progress(p.Phase.String(), p.Done, p.Total) },
	})
	if err != nil {
		t.noteTouched(err)
		return nil, lasting(err)
	}
	t.touch()
	a.say("disk %s is written and read back: %s in %s", device.Path(), storage.FormatSize(result.Size), time.Since(began).Round(time.Second))
	return proof(args, device, result, source.Fetched(), time.Since(began)), nil
}

// fetchOf says where the image is to be had. What arrives is held against the tree hash, so the way there need not be trusted.
func fetchOf(args *api.WriteArgs) (image.Fetch, error) {
	tree, err := image.ParseTree(args.TreeHash)
	if err != nil {
		return image.Fetch{}, err
	}
	if _, err := image.ParseDigest(args.Digest); err != nil {
		return image.Fetch{}, err
	}
	u, err := url.Parse(args.ImageURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return image.Fetch{}, fmt.Errorf("the image's address %q is no HTTP URL", Clean(args.ImageURL, 200))
	}
	if args.SizeBytes <= 0 {
		return image.Fetch{}, fmt.Errorf("an image of %d bytes is none", args.SizeBytes)
	}
	return image.Fetch{URL: args.ImageURL, Tree: tree, Size: args.SizeBytes}, nil
}

func seedOf(s *api.Seed) *disk.Seed {
	if s == nil {
		return nil
	}
	return &disk.Seed{MetaData: []byte(s.MetaData), UserData: []byte(s.UserData), NetworkConfig: []byte(s.NetworkConfig)}
}

// proof is what the server learns of a write. The digest is that of the catalogue: every frame came with the digest and
// decoded to the checksum that the tree hash vouches for, before disk.Write wrote it, and the disk gave it back with that checksum; the
// tree hash stands for exactly the bytes that the digest does.
func proof(args *api.WriteArgs, device *disk.Device, result disk.Result, fetched int64, took time.Duration) *api.WriteResult {
	w := &api.WriteResult{
		Disk: args.Disk, Digest: args.Digest, WrittenBytes: result.Written + result.Zeroed, FetchedBytes: fetched,
		Seconds: took.Seconds(), TableUUID: result.TableUUID, Seeded: result.SeedPartition,
	}
	if identity, err := device.Identity(); err == nil {
		w.Disk = api.DiskRef{Serial: identity.Serial, WWN: identity.WWN, SizeBytes: identity.Size}
	}
	return w
}

// foreign refuses a disk that carries what nobody claimed or gave up. Each finding must be in the consent as it is found now. An OSD
// is never ours: berth writes root disks, and whoever made an OSD on one of them meant to keep it.
func foreign(c storage.Content, consent []inventory.ContentFact, ours bool) error {
	if c.Incomplete != "" {
		return never("what it carries could not be read to the end (%s): nothing is written", c.Incomplete)
	}
	for _, f := range c.Findings {
		one := storage.Content{Findings: []storage.Finding{f}}
		switch {
		case !one.Foreign(), ours && f.Kind != storage.KindCeph:
		case !slices.ContainsFunc(consent, func(given inventory.ContentFact) bool { return sameFinding(given, f) }):
			return never("it carries %s, and nobody consented to losing that: nothing is written", f)
		}
	}
	return nil
}

// sameFinding compares what was consented to with what is there. The sentence is for people and may be worded anew.
func sameFinding(given inventory.ContentFact, f storage.Finding) bool {
	have := ContentFact(f)
	same := given.Kind == have.Kind && given.Type == have.Type && given.Label == have.Label && given.UUID == have.UUID &&
		given.Partition == have.Partition && given.Partitions == have.Partitions && given.Offset == have.Offset
	if given.OSD == nil || have.OSD == nil {
		return same && given.OSD == have.OSD
	}
	return same && given.OSD.FSID == have.OSD.FSID
}

// ContentFact is a finding in the form it is reported and consented to in. Nothing of it is lost, for plans are made from it.
func ContentFact(f storage.Finding) inventory.ContentFact {
	c := inventory.ContentFact{
		Kind: string(f.Kind), Type: Clean(f.Type, factLimit), Label: Clean(f.Label, factLimit), UUID: Clean(f.UUID, factLimit),
		Partition: f.Partition, Partitions: f.Partitions, Offset: f.Offset, Sentence: Clean(f.String(), factLimit),
	}
	if f.OSD != nil {
		c.OSD = &inventory.OSDFact{FSID: Clean(f.OSD.FSID, factLimit), ID: f.OSD.ID, Cluster: Clean(f.OSD.Cluster, factLimit)}
	}
	return c
}

// factLimit is the most bytes of a string in a report.
const factLimit = 256

// begun remembers the disks that this agent has begun to write since it started: what an interrupted write left is nobody's data.
type begun struct {
	mu    sync.Mutex
	disks []storage.Disk
}

func (b *begun) add(d *disk.Device) {
	identity, err := d.Identity()
	if err != nil {
		return // then it counts as foreign, which is the safe side
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disks = append(b.disks, identity)
}

func (b *begun) has(d *disk.Device) bool {
	identity, err := d.Identity()
	b.mu.Lock()
	defer b.mu.Unlock()
	return err == nil && slices.ContainsFunc(b.disks, func(o storage.Disk) bool {
		return o.Serial == identity.Serial && o.WWN == identity.WWN && o.Size == identity.Size
	})
}

// noteTouched takes from an error whether bytes of the disk may have changed.
func (t *task) noteTouched(err error) {
	var failed *disk.WriteError
	if errors.As(err, &failed) && failed.Touched {
		t.touch()
	}
}

// lasting marks errors that trying again cannot help.
func lasting(err error) error {
	if isHopeless(err) || errors.Is(err, image.ErrCorrupt) {
		return permanent{err}
	}
	return err
}

// clear makes disks look unused. All of them are found and judged before the first is changed.
func (a *Agent) clear(ctx context.Context, t *task) (*api.WriteResult, error) {
	if t.Clear == nil || len(t.Clear.Disks) == 0 {
		return nil, never("the assignment does not say which disks")
	}
	if a.Disks == nil {
		return nil, never("this agent may not write disks")
	}
	var devices []*disk.Device
	defer func() {
		for _, d := range devices {
			d.Close()
		}
	}()
	anything := func(storage.Content) error { return nil } // to clear it is the point
	for _, ref := range t.Clear.Disks {
		device, err := a.Disks.open(ctx, ref)
		if err != nil {
			return nil, lasting(err)
		}
		devices = append(devices, device)
		if err := mayDestroy(ctx, ref, t.Clear.Protect, anything)(device); err != nil {
			return nil, lasting(err)
		}
	}
	for i, device := range devices {
		err := disk.Clear(ctx, device, disk.ClearOptions{
			Guard:    mayDestroy(ctx, t.Clear.Disks[i], t.Clear.Protect, anything),
			Progress: func(done, total int) { t.Progress("clear", int64(i*total+done), int64(len(devices)*total)) },
		})
		if err != nil {
			t.noteTouched(err)
			return nil, lasting(fmt.Errorf("clear %s: %w", describe(t.Clear.Disks[i]), err))
		}
		t.touch()
	}
	return nil, nil
}
