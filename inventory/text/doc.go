// Package text keeps the record as a directory of YAML files, and brings such a directory back into the record.
//
//	berth.yaml                what wrote the directory, and that it is the whole record
//	racks/R1.yaml             one file for each object, in a folder for its kind
//	devices/node-1.yaml       with its interfaces, components, controllers and ports, and what is attached to it
//	documents/blobs/<sha256>  the bytes of documents
//
// The same record always gives the same bytes: objects and fields have one order, strings one way to be quoted, times are UTC. A field
// that is empty is left out. References are written as people write them (a slug, a name) where there is such a key, else as uid. What is
// under "noted" is what berth found out or did; it is believed when an object is made from its file, as after a loss of the record, and
// is never compared or set afterwards. A file without a uid, as people write it, is about the object of that name; fields that it does not
// mention stay as they are. Journals (events, operations, sessions, the change log itself) stay out. Secrets are carried as
// the ciphertext that is stored.
//
// Export writes; Read, Directory.Plan and Apply bring in. What is read is taken for hostile: names of files mean nothing and never reach
// a path, aliases are refused, sizes and depths are bounded, and what is not known is an error with its file and line.
package text
