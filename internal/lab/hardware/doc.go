// Package hardware describes a virtual server: the parts it is made of, and
// the words for its power and boot device.
//
// The description is the single source of truth of the lab: the QEMU command
// line, the SMBIOS tables, the Redfish tree and the IPMI FRU are all drawn
// from the same Server, so what a management controller says about a machine
// and what an operating system sees inside it agree, unless a fault was
// injected to make them differ.
package hardware
