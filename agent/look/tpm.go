package look

import "berth/inventory"

// tpm says which version of the trusted platform module the kernel talks to.
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
	}
	return f
}
