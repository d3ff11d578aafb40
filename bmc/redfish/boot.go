package redfish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"berth/bmc"
)

// targets maps a device to the words for it (DSP0268, ComputerSystem.Boot.BootSourceOverrideTarget), best first.
var targets = map[bmc.BootDevice][]string{
	bmc.BootNone:  {"None"},
	bmc.BootPXE:   {"Pxe"},
	bmc.BootHTTP:  {"UefiHttp"},
	bmc.BootDisk:  {"Hdd"},
	bmc.BootCDROM: {"Cd", "UsbCd"},
	bmc.BootBIOS:  {"BiosSetup"},
}

// Boot reads the override.
func (d *driver) Boot(ctx context.Context) (bmc.Boot, error) {
	end, err := d.begin(ctx)
	if err != nil {
		return bmc.Boot{}, err
	}
	defer end()
	n, _, err := d.computer()
	if err != nil {
		return bmc.Boot{}, d.expired(err)
	}
	seen := readBoot(n.obj("Boot"))
	if seen.Device == bmc.BootNone && d.pending != "" {
		// What was written to the settings resource shows up in the system itself at the next start only.
		if n, err := d.get(d.pending); err == nil {
			return readBoot(n.obj("Boot")), nil
		}
	}
	return seen, nil
}

// readBoot reads the Boot object. A target berth has no word for is reported by the BMC's own, in lower case.
func readBoot(boot node) bmc.Boot {
	target, enabled := boot.str("BootSourceOverrideTarget"), boot.str("BootSourceOverrideEnabled")
	// str cleans the word "None" away as it does for names, which is right here too.
	if target == "" || strings.EqualFold(enabled, "Disabled") {
		return bmc.Boot{Device: bmc.BootNone, Mode: readMode(boot)}
	}
	seen := bmc.Boot{Device: bmc.BootDevice(strings.ToLower(target)), Mode: readMode(boot), Persistent: enabled == "Continuous"}
	for device, words := range targets {
		if slices.Contains(words, target) {
			seen.Device = device
		}
	}
	return seen
}

func readMode(boot node) bmc.BootMode {
	switch strings.ToLower(boot.str("BootSourceOverrideMode")) {
	case "uefi":
		return bmc.BootModeUEFI
	case "legacy":
		return bmc.BootModeLegacy
	}
	return bmc.BootModeAny
}

// SetBoot writes the override. It is written with the mode where the BMC has one; where that is refused and the machine is
// in the wanted mode already, without it.
func (d *driver) SetBoot(ctx context.Context, want bmc.Boot) error {
	end, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	n, tag, err := d.computer()
	if err != nil {
		return d.expired(err)
	}
	q := quirksOf(n.str("Manufacturer")+" "+d.root.str("Vendor"), n.str("Model")+" "+d.root.str("Product"))
	bodies, err := overrides(n.obj("Boot"), want, q)
	if err != nil {
		return err
	}
	for _, body := range bodies {
		err = d.patchBoot(n, tag, map[string]any{"Boot": body}, q)
		if !errors.Is(err, bmc.ErrRefused) {
			break
		}
	}
	if err != nil {
		return d.expired(fmt.Errorf("set the boot override %s: %w", want, err))
	}
	return nil
}

// overrides lists what to write, in the order to try.
func overrides(boot node, want bmc.Boot, q quirk) ([]map[string]any, error) {
	words, ok := targets[want.Device]
	if !ok || want.Device == bmc.BootHTTP && want.Mode == bmc.BootModeLegacy {
		return nil, fmt.Errorf("boot from %s: %w", want, bmc.ErrUnsupported)
	}
	if want.Device == bmc.BootNone {
		return []map[string]any{
			{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None"},
			{"BootSourceOverrideEnabled": "Disabled"},
		}, nil
	}
	target, err := allowed(boot, "BootSourceOverrideTarget", words)
	if err != nil {
		return nil, err
	}
	enabled := "Once"
	if want.Persistent {
		enabled = "Continuous"
	}
	plain := map[string]any{"BootSourceOverrideEnabled": enabled, "BootSourceOverrideTarget": target}
	mode, current := want.Mode, readMode(boot)
	if mode == bmc.BootModeAny && q.alwaysMode {
		mode = current
	}
	_, has := boot["BootSourceOverrideMode"]
	if mode == bmc.BootModeAny || !has {
		// A BMC that has no mode, asked for one: the read-back cannot hold it against it either.
		return []map[string]any{plain}, nil
	}
	word, err := allowed(boot, "BootSourceOverrideMode", []string{map[bmc.BootMode]string{bmc.BootModeUEFI: "UEFI", bmc.BootModeLegacy: "Legacy"}[mode]})
	if err != nil {
		return nil, err
	}
	full := map[string]any{"BootSourceOverrideMode": word}
	for k, v := range plain {
		full[k] = v
	}
	if mode == current {
		return []map[string]any{full, plain}, nil
	}
	return []map[string]any{full}, nil
}

// allowed picks the first word that the BMC lists for a property; without a list it takes the first.
func allowed(boot node, property string, words []string) (string, error) {
	list := boot.words(property + "@Redfish.AllowableValues")
	if len(list) == 0 && property == "BootSourceOverrideTarget" {
		list = boot.words("BootSourceOverrideSupported") // before Redfish 1.0 had settled: iLO 4
	}
	if len(list) == 0 {
		return words[0], nil
	}
	for _, w := range words {
		if slices.Contains(list, w) {
			return w, nil
		}
	}
	return "", fmt.Errorf("%s %s: %w; it can %s", property, words[0], bmc.ErrUnsupported, clip(strings.Join(list, ", "), 200))
}

// patchBoot writes to the system, or to the resource that holds its future settings (DSP0266, 9.9) where the vendor wants
// it there or the system itself is read-only.
func (d *driver) patchBoot(n node, tag string, body map[string]any, q quirk) error {
	settings := n.link("@Redfish.Settings", "SettingsObject")
	if settings != "" && q.settings {
		return d.patchSettings(settings, body)
	}
	err := d.patch(d.system.path, tag, body)
	if settings != "" && (errors.Is(err, bmc.ErrUnsupported)) {
		return d.patchSettings(settings, body)
	}
	return err
}

func (d *driver) patchSettings(path string, body map[string]any) error {
	_, tag, err := d.getTagged(path)
	if err != nil {
		return err
	}
	if err := d.patch(path, tag, body); err != nil {
		return err
	}
	d.pending = path
	return nil
}

// patch writes with the tag of the version that was read (DSP0266, 7.1: If-Match). Where the tag does not match, another
// was quicker or the BMC computes tags of something else; once more with a fresh one, then without.
func (d *driver) patch(path, tag string, body map[string]any) error {
	if err := checkPath(path); err != nil {
		return err
	}
	var err error
	for try := range 3 {
		headers := map[string]string{}
		if tag != "" && try < 2 {
			headers["If-Match"] = tag
		}
		_, err = d.api.PatchWithHeaders(path, body, headers)
		if !mismatch(err) {
			break
		}
		if try == 0 {
			_, tag, _ = d.getTagged(path)
		}
	}
	if err != nil {
		return missing(d.explain("write "+path, err))
	}
	return nil
}
