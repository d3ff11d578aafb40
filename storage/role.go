package storage

import (
	"fmt"
	"slices"
	"strings"
)

// Role says what a disk is for. The set is closed; the zero value means that nobody has said.
type Role string

// The roles of a disk.
const (
	// RoleRoot carries the operating system; deploy and reimage write it.
	RoleRoot Role = "root"
	// RoleCephOSD carries an object storage daemon of a Ceph cluster; no deploy or reimage ever writes it.
	RoleCephOSD Role = "ceph-osd"
	// RoleKeep carries data that berth must leave alone.
	RoleKeep Role = "keep"
	// RoleScratch may be lost at any time, and is nevertheless never chosen to carry the operating system.
	RoleScratch Role = "scratch"
)

// Roles returns every role, in the order people are shown them.
func Roles() []Role { return []Role{RoleRoot, RoleCephOSD, RoleKeep, RoleScratch} }

// String returns the role's name as it is written in files and on the wire.
func (r Role) String() string { return string(r) }

// ParseRole returns the role with this name.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles() {
		if s == string(r) {
			return r, nil
		}
	}
	return "", fmt.Errorf("disk role %q is not one of %s", s, joinRoles())
}

// UnmarshalText refuses names that are not roles, so that a record from outside cannot carry one. Empty stays empty.
func (r *Role) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = ""
		return nil
	}
	parsed, err := ParseRole(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

func joinRoles() string {
	names := make([]string, 0, len(Roles()))
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// Binding ties a role to one physical disk. At least one of Serial and WWN is set; kernel names are never part of it,
// because they change from boot to boot.
type Binding struct {
	Role   Role   `json:"role"`
	Serial string `json:"serial,omitempty"`
	WWN    string `json:"wwn,omitempty"`
	// OSD tells which OSD a disk of role ceph-osd carries, where that is known.
	OSD *OSD `json:"osd,omitempty"`
}

// touches reports whether any identifier of the binding is that of the disk. It is the test for protection, which
// one matching identifier is enough to raise.
func (b Binding) touches(d Disk) bool {
	return same(NormalizeSerial(b.Serial), d.serial()) || same(NormalizeWWN(b.WWN), d.wwn())
}

// contradicts reports whether the disk has an identifier that the binding says otherwise. A disk that touches the
// binding and contradicts it too is not the disk that was bound: its serial was copied wrongly, or is not unique.
func (b Binding) contradicts(d Disk) bool {
	return differ(NormalizeSerial(b.Serial), d.serial()) || differ(NormalizeWWN(b.WWN), d.wwn())
}

// holds reports whether the OSD of the binding is among the content.
func (b Binding) holds(c Content) bool {
	return b.OSD != nil && b.OSD.FSID != "" &&
		slices.ContainsFunc(c.OSDs(), func(o OSD) bool { return strings.EqualFold(o.FSID, b.OSD.FSID) })
}

func (b Binding) String() string {
	return fmt.Sprintf("%s on %s", b.Role, Disk{Serial: b.Serial, WWN: b.WWN}.Name())
}

func same(a, b string) bool   { return a != "" && a == b }
func differ(a, b string) bool { return a != "" && b != "" && a != b }
