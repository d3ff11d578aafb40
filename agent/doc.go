// Package agent is what berth does on a machine from inside: it looks, reports, asks for work, obeys, and reports again.
//
// The same loop runs in two places. As /init in RAM on a machine that is being enrolled, where package agent/boot has first made
// a small Linux system around it; and as an ordinary process on a host that must not be disturbed, which is how the project's
// tests kill it and its server at every moment. What differs is given to Agent as plain fields: how to look at the hardware, which
// disks exist, how to set the clock. What an order to reboot means is left to the caller, to whom Run returns an Ending.
//
// Three promises hold whatever the server or the network does:
//
//   - Nothing is written to a disk but the one an assignment names by serial or WWN, and not while that name fits two disks, the
//     disk is protected, or it carries contents that nobody claimed or gave up.
//   - A write goes on only while the server confirms it. RightToWrite after the last confirmation it stops at a chunk, and the
//     agent asks again; a refusal stops it at once.
//   - An assignment that was finished is never run again in the same boot: a server that hands it out twice gets the same result.
package agent
