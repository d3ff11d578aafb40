package bmc_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"berth/bmc"
)

func TestWordsAndParsersAgree(t *testing.T) {
	for _, want := range bmc.PowerActions() {
		if got, err := bmc.ParsePowerAction(want.String()); got != want || err != nil {
			t.Errorf("power action %q: %q, %v", want, got, err)
		}
	}
	for _, want := range bmc.BootDevices() {
		if got, err := bmc.ParseBootDevice(want.String()); got != want || err != nil {
			t.Errorf("boot device %q: %q, %v", want, got, err)
		}
	}
	for _, want := range bmc.BootModes() {
		if got, err := bmc.ParseBootMode(want.String()); got != want || err != nil {
			t.Errorf("boot mode %q: %q, %v", want, got, err)
		}
	}
	for _, bad := range []string{"On", " on", "pxe;reboot", "UEFI"} {
		_, e1 := bmc.ParsePowerAction(bad)
		_, e2 := bmc.ParseBootDevice(bad)
		_, e3 := bmc.ParseBootMode(bad)
		if e1 == nil || e2 == nil || e3 == nil {
			t.Errorf("%q was taken: %v, %v, %v", bad, e1, e2, e3)
		}
	}
}

func TestPowerStateOfAnyDriver(t *testing.T) {
	for said, want := range map[string]bmc.PowerState{
		"On": bmc.PowerOn, "Off": bmc.PowerOff, "on": bmc.PowerOn, "Chassis Power is off\n": bmc.PowerOff, "Chassis Power is on": bmc.PowerOn,
		"PoweringOn": bmc.PowerUnknown, "PoweringOff": bmc.PowerUnknown, "Paused": bmc.PowerUnknown, "": bmc.PowerUnknown,
		"Error: Unable to establish IPMI v2 / RMCP+ session": bmc.PowerUnknown,
	} {
		if got := bmc.ParsePowerState(said); got != want {
			t.Errorf("%q is %q, want %q", said, got, want)
		}
	}
}

func TestBootSatisfies(t *testing.T) {
	uefi, legacy := bmc.BootModeUEFI, bmc.BootModeLegacy
	for _, c := range []struct {
		seen, want bmc.Boot
		ok         bool
	}{
		{bmc.Once(bmc.BootPXE, uefi), bmc.Once(bmc.BootPXE, uefi), true},
		{bmc.Once(bmc.BootPXE, legacy), bmc.Once(bmc.BootPXE, uefi), false}, // accepted, and turned into legacy
		{bmc.Once(bmc.BootPXE, ""), bmc.Once(bmc.BootPXE, uefi), true},      // the BMC does not say
		{bmc.Once(bmc.BootPXE, legacy), bmc.Once(bmc.BootPXE, ""), true},    // nobody asked
		{bmc.Once(bmc.BootDisk, uefi), bmc.Once(bmc.BootPXE, uefi), false},
		{bmc.Boot{Device: bmc.BootPXE, Persistent: true}, bmc.Once(bmc.BootPXE, ""), false},
		{bmc.Boot{Device: bmc.BootNone, Mode: uefi}, bmc.Boot{Device: bmc.BootNone}, true},
		{bmc.Boot{}, bmc.Boot{Device: bmc.BootNone}, false},
	} {
		if got := c.seen.Satisfies(c.want); got != c.ok {
			t.Errorf("seen %v, wanted %v: %v", c.seen, c.want, got)
		}
	}
}

func TestSecretIsNeverPrinted(t *testing.T) {
	const canary = "c4n4ry-pa55"
	secret := bmc.NewSecret(canary)
	target := bmc.Target{Kind: bmc.KindIPMI, Address: "10.0.0.1", Username: "admin", Password: secret}
	type outer struct{ inner bmc.Secret } // fmt calls no method of an unexported field
	var out bytes.Buffer
	for _, v := range []any{secret, &secret, target, &target, outer{secret}, &outer{secret}, []bmc.Secret{secret}, map[string]bmc.Secret{"a": secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%c", "%t", "%08b"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		b, _ := json.Marshal(v)
		out.Write(b)
		b, _ = xml.Marshal(v)
		out.Write(b)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
	}
	fmt.Fprintln(&out, fmt.Errorf("login with %v: %w", secret, bmc.ErrAuth))
	text := out.String()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary)} {
		if strings.Contains(text, form) {
			t.Errorf("the password got out as %s:\n%s", form, text)
		}
	}
	if !strings.Contains(text, "***") {
		t.Error("no stars: nothing was printed at all")
	}
	if secret.Reveal() != canary || !secret.Equal(bmc.NewSecret(canary)) || secret.Equal(bmc.Secret{}) || !bmc.NewSecret("").IsZero() {
		t.Error("the secret does not hold its value")
	}
}

func TestTargetHostPort(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1": "10.0.0.1 623", "10.0.0.1:6230": "10.0.0.1 6230", "bmc-3.lab": "bmc-3.lab 623", "bmc:1": "bmc 1",
		"fe80::1": "fe80::1 623", "[fe80::1]:99": "fe80::1 99", "::1": "::1 623",
	} {
		host, port, err := bmc.Target{Address: address}.HostPort(623)
		if got := fmt.Sprint(host, " ", port); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", address, got, err, want)
		}
	}
	for _, address := range []string{
		"", "admin@10.0.0.1", "10.0.0.1/redfish", "https://10.0.0.1", "-oops", "-Ifile:443", "h:0", "h:70000", "h:", ":443", "a b", "h\n", "[::1",
	} {
		if host, port, err := (bmc.Target{Address: address}).HostPort(623); err == nil {
			t.Errorf("%q was taken as %q %d", address, host, port)
		}
	}
}

func TestWhichErrorsArePermanent(t *testing.T) {
	for err, want := range map[error]bool{
		bmc.ErrAuth: true, bmc.ErrDenied: true, bmc.ErrUnsupported: true, bmc.ErrRefused: true, bmc.ErrEmptyInventory: true,
		&bmc.ChooseSystemError{}: true, &bmc.CertificateError{}: true, &bmc.CertificateError{Want: "x"}: true, &bmc.LockedError{Cause: bmc.ErrAuth}: true,
		bmc.ErrUnreachable: false, bmc.ErrBusy: false, bmc.ErrMalformed: false, &bmc.NoEffectError{}: false, bmc.ErrUnconfirmed: false,
		errors.New("something else"): false,
	} {
		if got := bmc.Permanent(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("%v: permanent %v, want %v", err, got, want)
		}
	}
}

func TestTypedErrorsAreTheirSentinels(t *testing.T) {
	for _, c := range []struct{ err, is, isNot error }{
		{&bmc.NoEffectError{Asked: "power on", Seen: "off"}, bmc.ErrNoEffect, bmc.ErrAuth},
		{&bmc.ChooseSystemError{Candidates: []bmc.System{{ID: "a"}, {ID: "b"}}}, bmc.ErrChooseSystem, bmc.ErrNoEffect},
		{&bmc.CertificateError{Got: "sha256:1"}, bmc.ErrUntrusted, bmc.ErrCertificateChanged},
		{&bmc.CertificateError{Want: "sha256:0", Got: "sha256:1"}, bmc.ErrCertificateChanged, bmc.ErrUntrusted},
		{&bmc.LockedError{Cause: fmt.Errorf("x: %w", bmc.ErrAuth)}, bmc.ErrLocked, bmc.ErrUnreachable},
		{&bmc.LockedError{Cause: fmt.Errorf("x: %w", bmc.ErrAuth)}, bmc.ErrAuth, bmc.ErrUnreachable},
	} {
		if !errors.Is(c.err, c.is) || errors.Is(c.err, c.isNot) {
			t.Errorf("%v: is %v, is not %v", c.err, c.is, c.isNot)
		}
	}
	err := error(&bmc.ChooseSystemError{Asked: "c", Candidates: []bmc.System{{ID: "a"}, {ID: "b"}}})
	if want := `the BMC has no system "c"; it has "a", "b"`; err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestCleanDropsWhatIsNoName(t *testing.T) {
	for said, want := range map[string]string{
		"  R740 ": "R740", "To Be Filled By O.E.M.": "", "Default string": "", "N/A": "", "NULL": "", "\x00\x00AB\x00": "AB", "None": "", "0": "0",
	} {
		if got := bmc.Clean(said); got != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
	}
}
