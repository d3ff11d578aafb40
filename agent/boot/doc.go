// Package boot makes a small Linux system around the agent when it is /init in RAM: mount, load drivers, bring the network up, talk
// to whoever stands in front of the machine, and in the end reboot or power off.
//
// It is written for machines that nobody can log in to. So it never hangs without a sentence on every console, never exits (a
// kernel whose init exits panics), and every wait in it has a limit, after which the machine goes back to its local disk.
//
// What is waited for, on the way to the first word to the server, is only what that needs: randomness, the drivers of network
// ports, a lease. Disks are found meanwhile.
package boot
