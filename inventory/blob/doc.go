// Package blob keeps the files of the record: invoices, waybills, photos.
//
// A file's bytes are kept once, under their SHA-256, in a directory of their own: documents/ab/cd/abcd…. What it is called, what it is
// about and what it is attached to stands in the record (inventory.Document, inventory.Attachment); nothing that somebody else
// wrote ever becomes part of a path.
//
// Files come from anywhere and are taken for hostile. They are never executable, and never shown as they are: a picture is decoded
// here and encoded anew as a thumbnail, within limits that are asked before anything is decoded; everything else is
// handed out to be saved (see Disposition), whatever it says it is. SVG and HTML are text that a browser would run: they get no thumbnail and no
// media type of their own.
//
// The change log is kept for ever and an undo brings a deleted document back, so the bytes stay as long as a document or an entry of the log
// names them. Sweep removes the others: what an upload left behind that never became a document.
package blob
