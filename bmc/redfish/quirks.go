package redfish

import (
	"errors"
	"net/http"
	"strings"

	"github.com/stmcginnis/gofish/common"
)

// quirk is what a vendor's BMCs want that DSP0266 does not ask for.
type quirk struct {
	vendor, model string // substrings, without regard to case; empty matches all
	reason        string
	evidence      string // where it is known from; nothing here is taken for proved until it says so

	// alwaysMode: an override is written with the boot mode even when nobody asked for one.
	alwaysMode bool
	// settings: an override is written to the settings resource, never to the system.
	settings bool
	// tagSerial: the number on the label stands in SKU, and SerialNumber is the main board's.
	tagSerial bool
}

// quirkTable is read from top to bottom; all rows that match apply.
var quirkTable = []quirk{
	{
		vendor: "supermicro", alwaysMode: true,
		reason:   "an override written without BootSourceOverrideMode puts the mode back to Legacy, and a UEFI machine then boots its disk",
		evidence: "public report (bmc-toolbox/bmclib pull request 459); constructed tree",
	},
	{
		vendor: "american megatrends", settings: true,
		reason:   "the system's Boot is a report of the last start; what the next start obeys is the resource under @Redfish.Settings",
		evidence: "public report (DMTF/Redfish-Tacklebox issue 144); constructed tree",
	},
	{
		vendor: "dell", tagSerial: true,
		reason:   "the service tag, which is the serial number SMBIOS and the label show, is SKU; SerialNumber is that of the main board",
		evidence: "Dell's published mockups; constructed tree",
	},
}

// quirksOf merges the rows for a vendor and model.
func quirksOf(vendor, model string) quirk {
	var q quirk
	for _, row := range quirkTable {
		if contains(vendor, row.vendor) && contains(model, row.model) {
			q.alwaysMode = q.alwaysMode || row.alwaysMode
			q.settings = q.settings || row.settings
			q.tagSerial = q.tagSerial || row.tagSerial
		}
	}
	return q
}

func contains(text, part string) bool { return strings.Contains(strings.ToLower(text), part) }

// mismatch reports that a tag was refused, or missed.
func mismatch(err error) bool {
	var answer *common.Error
	if !errors.As(err, &answer) {
		return false
	}
	code := answer.HTTPReturnedStatusCode
	return code == http.StatusPreconditionFailed || code == http.StatusPreconditionRequired
}
