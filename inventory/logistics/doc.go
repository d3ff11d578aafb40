// Package logistics leads shipments through their life: what is packed, handed over, tracked, received and verified, and who answers for
// it meanwhile.
//
// Each action is a function over one transaction (inventory.Tx), so that a page, the API, the command line and the server's own upkeep do
// the same thing, and so that it can be undone as one. Nothing here opens a socket or reads the clock: the transaction says what time it is.
//
// The carrier's word and ours stand side by side. Phase is what we did; status is what the carrier says; the state of each line is what
// became of it. "Delivered" by a carrier is not "here": a line is received when somebody scanned it, and verified when the machine itself
// has spoken, by its first boot or through its BMC.
package logistics
