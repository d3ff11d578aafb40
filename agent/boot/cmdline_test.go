package boot

import "testing"

func TestParseCommandLine(t *testing.T) {
	full := "BOOT_IMAGE=x initrd=initramfs berth.url=https://10.77.0.1:8443 berth.pin=sha256:ab berth.token=t-1 console=ttyS0 quiet"
	for line, want := range map[string]struct{ url, pin, token, mac string }{
		full:                                  {"https://10.77.0.1:8443", "sha256:ab", "t-1", ""},
		full + " berth.mac=52:54:00:77:00:01": {"https://10.77.0.1:8443", "sha256:ab", "t-1", "52:54:00:77:00:01"},
		"BOOTIF=01-52-54-00-77-00-01":         {mac: "52:54:00:77:00:01"},
		"BOOTIF=01-52-54-00-77-00-01 berth.mac=52:54:00:77:00:02": {mac: "52:54:00:77:00:02"},
		"berth.mac=nonsense BOOTIF= berth.url":                    {},
		"":                                                        {},
	} {
		got := ParseCommandLine(line + "\n")
		if got.URL != want.url || got.Pin != want.pin || got.Token != want.token || got.BootMAC.String() != want.mac {
			t.Errorf("ParseCommandLine(%q) = %+v, want %+v", line, got, want)
		}
	}
}
