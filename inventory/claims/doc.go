// Package claims keeps the clock when things go wrong on the way or come to their end: by when a carrier or insurer must be told, what
// was said to them and what they answered, the dossier that proves a claim, and the loss of many assets in one act that can be taken
// back when the box turns up.
//
// Days are computed from rules in a file (rules.yaml) that people can read and correct; each says where it stands and when somebody last
// looked. What was taken for granted for want of a date is said with the day. Nothing in here is legal advice, and the pages say so.
//
// The package is functions over inventory.Tx and over plain objects. Whoever calls hands in the day it is.
package claims
