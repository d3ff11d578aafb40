// Package pxe says what a booting machine is and what it should boot.
//
// It is pure: it opens no socket, reads no file and knows no database. The
// servers below it (pxe/dhcp, pxe/tftp, pxe/httpboot) turn bytes from the wire
// into a [Client], ask a [Book] what is on record about it, and let [Decide]
// say what to answer. The same three values give the same answer on every
// wire, so that a machine that was promised its local disk by DHCP does not get
// an installer by HTTP.
//
// The way of a machine through the stages, with what each is answered, is told
// in docs/how-it-boots.md.
//
// # Harmless by default
//
// The zero values of this package do no harm: a zero [Mode] listens and answers
// nothing, a zero [Boot] is the local disk, and an unknown machine is offered
// the agent only on a subnet whose Enrol is set.
package pxe
