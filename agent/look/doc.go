// Package look inspects the machine it runs on.
//
// Looking and judging are kept apart. A Source answers with raw bytes: files of /sys and /proc, and what devices reply to
// questions (an ioctl each). Facts reads a Source and judges what was read; it touches no hardware itself, so it runs in ordinary
// tests on recordings of real machines. Record makes such a recording of any machine, to be sent to whoever must make sense of it.
//
// Nothing a machine says is believed or tidied here: junk serials are facts too. It is only bounded, because everything a machine
// says about itself is hostile input to whoever shows it: strings to 256 bytes of valid UTF-8, lists to a fixed length, files to a
// fixed size. What could not be read becomes a sentence among the Problems and spoils nothing else.
package look
