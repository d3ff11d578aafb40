package storage

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what sort of thing was found on a disk. The set is closed.
type Kind string

// The kinds of finding.
const (
	// KindTable is a partition table; Type is gpt or mbr.
	KindTable Kind = "table"
	// KindFilesystem is a filesystem; Type is its name (ext4, xfs, vfat, iso9660, ...).
	KindFilesystem Kind = "filesystem"
	// KindSwap is swap space.
	KindSwap Kind = "swap"
	// KindLVM is a physical volume of LVM2.
	KindLVM Kind = "lvm"
	// KindMD is a member of a Linux software RAID; Type is the metadata version.
	KindMD Kind = "md"
	// KindZFS is a member of a ZFS pool.
	KindZFS Kind = "zfs"
	// KindLUKS is an encrypted volume; Type is 1 or 2.
	KindLUKS Kind = "luks"
	// KindCeph is a Ceph BlueStore device: an OSD.
	KindCeph Kind = "ceph"
	// KindOther is another known signature (bcache, VMFS, DRBD, ...); Type names it.
	KindOther Kind = "other"
	// KindUnknown is data that is not zero and that no known signature explains.
	KindUnknown Kind = "unknown"
)

// Kinds returns every kind.
func Kinds() []Kind {
	return []Kind{KindTable, KindFilesystem, KindSwap, KindLVM, KindMD, KindZFS, KindLUKS, KindCeph, KindOther, KindUnknown}
}

// String returns the kind's name on the wire.
func (k Kind) String() string { return string(k) }

// ParseKind returns the kind with this name.
func ParseKind(s string) (Kind, error) {
	if slices.Contains(Kinds(), Kind(s)) {
		return Kind(s), nil
	}
	return "", fmt.Errorf("%q is not a kind of disk content", s)
}

// UnmarshalText refuses names that are not kinds.
func (k *Kind) UnmarshalText(text []byte) error {
	parsed, err := ParseKind(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

// OSD names an object storage daemon of a Ceph cluster.
type OSD struct {
	// FSID is the UUID of the OSD, as in the BlueStore label.
	FSID string `json:"fsid,omitempty"`
	// ID is the number of the OSD in its cluster; nil where it is unknown, because osd.0 is a real one.
	ID *int `json:"id,omitempty"`
	// Cluster is the fsid of the cluster.
	Cluster string `json:"cluster,omitempty"`
}

// String returns "osd.3 of cluster …" or as much of it as is known.
func (o OSD) String() string {
	s := "an OSD"
	if o.ID != nil {
		s = fmt.Sprintf("osd.%d", *o.ID)
	}
	if o.FSID != "" {
		s += " with fsid " + o.FSID
	}
	if o.Cluster != "" {
		s += " of cluster " + o.Cluster
	}
	return s
}

// Finding is one thing found on a disk. Labels come from the disk and are as trustworthy as whoever wrote it.
type Finding struct {
	Kind Kind `json:"kind"`
	// Type tells more, by kind; see the kinds.
	Type  string `json:"type,omitempty"`
	Label string `json:"label,omitempty"`
	UUID  string `json:"uuid,omitempty"`
	// Partition is the number of the partition it was found in, 0 for the whole disk.
	Partition int `json:"partition,omitempty"`
	// Partitions is, for a table, how many partitions it has.
	Partitions int `json:"partitions,omitempty"`
	// Offset is where on the disk the thing begins, in bytes.
	Offset int64 `json:"offset,omitempty"`
	// OSD is set for Ceph.
	OSD *OSD `json:"osd,omitempty"`
}

var kindWords = map[Kind]string{
	KindSwap: "swap space", KindLVM: "an LVM physical volume", KindZFS: "a member of a ZFS pool",
	KindUnknown: "data of an unknown kind",
}

// String says what was found, as part of a sentence that a person reads before consenting.
func (f Finding) String() string {
	s := f.what()
	if f.Label != "" {
		s += fmt.Sprintf(" labelled %q", f.Label)
	}
	if f.UUID != "" && f.Kind != KindTable {
		s += " (" + f.UUID + ")"
	}
	if f.Partition > 0 {
		s += fmt.Sprintf(" in partition %d", f.Partition)
	}
	return s
}

func (f Finding) what() string {
	switch f.Kind {
	case KindTable:
		return fmt.Sprintf("a %s partition table with %d partitions", strings.ToUpper(f.Type), f.Partitions)
	case KindFilesystem:
		return "a filesystem of type " + f.Type
	case KindMD:
		return "a member of a Linux software RAID (metadata " + f.Type + ")"
	case KindLUKS:
		return "an encrypted volume (LUKS " + f.Type + ")"
	case KindCeph:
		if f.OSD == nil {
			return "a Ceph OSD"
		}
		return "Ceph: " + f.OSD.String()
	case KindOther:
		return f.Type
	}
	return kindWords[f.Kind]
}

// claims reports whether the finding is somebody's data. Only a table without partitions is not.
func (f Finding) claims() bool { return f.Kind != KindTable || f.Partitions > 0 }

// Content is what was found on a disk.
type Content struct {
	Findings []Finding `json:"findings,omitempty"`
	// Incomplete tells why the disk could not be looked at to the end. Such a disk counts as carrying data.
	Incomplete string `json:"incomplete,omitempty"`
}

// Empty reports whether the disk was looked at to the end and nothing at all was found.
func (c Content) Empty() bool { return c.Incomplete == "" && len(c.Findings) == 0 }

// Foreign reports whether the disk carries, or may carry, somebody's data.
func (c Content) Foreign() bool {
	return c.Incomplete != "" || slices.ContainsFunc(c.Findings, Finding.claims)
}

// OSDs returns the Ceph OSDs found on the disk.
func (c Content) OSDs() []OSD {
	var osds []OSD
	for _, f := range c.Findings {
		if f.Kind != KindCeph {
			continue
		}
		if f.OSD == nil {
			osds = append(osds, OSD{})
			continue
		}
		osds = append(osds, *f.OSD)
	}
	return osds
}

// TableUUID returns the identifier of the partition table, "" where there is none.
func (c Content) TableUUID() string {
	for _, f := range c.Findings {
		if f.Kind == KindTable && f.Partition == 0 {
			return f.UUID
		}
	}
	return ""
}

// Sentences lists the content for a person.
func (c Content) Sentences() []string {
	var out []string
	for _, f := range c.Findings {
		if f.claims() {
			out = append(out, f.String())
		}
	}
	if c.Incomplete != "" {
		out = append(out, "possibly more: "+c.Incomplete)
	}
	return out
}
