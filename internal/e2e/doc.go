// Package e2e tells stories on the built programs: `berth serve` in a network namespace, and machines that ask it for help.
//
// A machine here is a small player of firmware (machine_test.go). It has a network card on the server's wire, loop devices as disks and
// SMBIOS tables of its own. When it is switched on it asks for an address as iPXE does, fetches the script that it is told, and obeys:
// it runs the real berth-agent with the real command line, or boots its disk, if the disk can be booted, and then runs what the seed
// on it would have cloud-init run. What it does not have is a processor of its own; files named vm_*_test.go tell stories with machines
// that do.
//
// The server is built with the tag killpoint (cmd/berth/killpoint.go), so that it can be ended at a chosen commit.
//
// The stories need root, loop devices and network namespaces, and skip aloud without; with CI set they fail instead.
package e2e
