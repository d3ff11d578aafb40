// Package notify carries what must not be overlooked to people and to other systems.
//
// A Notification is raised under a key, so that many reports of one thing are one notification, and is gone when its cause is gone. It is
// shown on pages, mailed (urgent ones at once, the rest as one digest a day), and subscribed to as a calendar or feed.
//
// Webhooks tell other systems about changes. A message is stored in the transaction that makes the change (Enqueue), so that none is
// lost and none is sent of what was rolled back; Deliver sends what is due and tries again with growing pauses.
//
// What speaks to the network stands below: hook sends over HTTP, mail over SMTP.
package notify
