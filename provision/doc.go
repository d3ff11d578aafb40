// Package provision is the work on machines: operations as durable sequences of steps, the engine that runs them, what the agent is
// told, and what a booting machine is offered.
//
// Three kinds of reader come here:
//
//   - sequence.go and the files named for operations (deploy.go, enrol.go, …) say what is done, as lists that can be read aloud;
//   - engine.go says how a list survives a restart, a second server and a cancel;
//   - desk.go is the agent's side of the counter: who may ask, what is handed out, and when the right to write ends.
//
// The package holds no socket and no SQL. It works on a Ledger (the record with leases) and on bmc.Pool; web and the PXE servers call
// it. It uses the wire types of api for what the agent is told, because they are the same thing.
package provision
