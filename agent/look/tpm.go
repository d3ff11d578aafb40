package look

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"

	"berth/inventory"
)

// tpm says which version of the trusted platform module the kernel talks to, and which one it is.
func tpm(s Source) *inventory.TPMFacts {
	names, err := s.ReadDir("sys/class/tpm")
	if err != nil || len(names) == 0 {
		return nil
	}
	f := &inventory.TPMFacts{}
	switch word(s, "sys/class/tpm/"+names[0]+"/tpm_version_major") {
	case "1":
		f.Version = "1.2"
	case "2":
		f.Version = "2.0"
		if reply, err := s.Ask(AskTPMKey, "tpmrm0"); err == nil {
			if area, err := publicArea(reply); err == nil {
				hash := sha256.Sum256(area)
				f.EKHash = hex.EncodeToString(hash[:])
			}
		}
	}
	return f
}

// readEK is TPM2_ReadPublic (TPM 2.0 part 3, 12.4) of the RSA endorsement key at the handle that vendors provision it at (TCG EK
// Credential Profile 2.5, 2.2.1.4): tag without sessions, size, command, handle.
var readEK = []byte{0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x73, 0x81, 0x01, 0x00, 0x01}

// publicArea takes the key out of a reply: tag, size and response code, then the key as a sized buffer, then its names.
func publicArea(reply []byte) ([]byte, error) {
	if len(reply) < 12 || binary.BigEndian.Uint32(reply[6:]) != 0 {
		return nil, errors.New("the TPM has no endorsement key at the usual handle")
	}
	size := int(binary.BigEndian.Uint16(reply[10:]))
	if size == 0 || 12+size > len(reply) {
		return nil, errors.New("the TPM's reply is cut")
	}
	return reply[12 : 12+size], nil
}
