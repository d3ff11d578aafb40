// Package web is the server that people, programs and agents speak to: pages, REST under /api/v1, and /agent/v1, on one TLS listener,
// and on a Unix socket for whoever administers the host.
//
// Reading order: route.go (the one table of routes, and how each request passes through it), access.go (who is asking), noun.go (REST
// for every kind of record, derived from its descriptor), action.go (what can be done with machines), page.go (how pages are drawn),
// live.go (how they stay true). A handler parses, calls one function and answers; it holds no rule.
//
// The package keeps no state but what a restart may lose: pauses after wrong passwords, and the number of open streams.
package web
