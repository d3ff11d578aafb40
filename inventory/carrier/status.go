package carrier

import (
	"strings"
)

// status is one of ours: EasyPost's word, and a detail where ours says more.
type status struct{ status, detail string }

// Statuses by which others call what ours calls status, from their published lists. What is not in a table is unknown: a new word of theirs
// must not move a parcel.
var (
	easypost = words("unknown", "pre_transit", "in_transit", "out_for_delivery", "available_for_pickup", "delivered", "return_to_sender", "failure", "cancelled", "error")

	aftership = map[string]status{
		"pending": {"unknown", ""}, "inforeceived": {"pre_transit", ""}, "intransit": {"in_transit", ""}, "outfordelivery": {"out_for_delivery", ""},
		"availableforpickup": {"available_for_pickup", ""}, "delivered": {"delivered", ""},
		// One failed attempt is a parcel still under way; EasyPost counts it so too.
		"attemptfail": {"in_transit", "attempt_failed"},
		"exception":   {"failure", "exception"},
		// Expired says that nobody spoke for 30 days: nothing about the parcel. Whether it is silent, we count ourselves.
		"expired": {"unknown", "expired"},
	}
	// aftershipSubtags say what an exception is. A parcel that customs hold, or that is delayed, has not failed.
	aftershipSubtags = map[string]status{
		"exception_001": {"failure", "exception"}, "exception_002": {"failure", "undeliverable"}, "exception_004": {"in_transit", "on_hold"}, "exception_005": {"in_transit", "on_hold"},
		"exception_007": {"in_transit", "delayed"}, "exception_010": {"return_to_sender", ""}, "exception_011": {"return_to_sender", ""}, "exception_012": {"failure", "damaged"}, "exception_013": {"failure", "lost"},
		"intransit_002": {"in_transit", "picked_up"}, "intransit_006": {"in_transit", "customs"}, "intransit_007": {"in_transit", "customs"}, "intransit_009": {"in_transit", "delayed"},
	}

	shippo = map[string]status{
		"unknown": {"unknown", ""}, "pre_transit": {"pre_transit", ""}, "transit": {"in_transit", ""}, "delivered": {"delivered", ""}, "returned": {"return_to_sender", ""}, "failure": {"failure", ""},
	}
	// shippoSubstatuses say what Shippo's one TRANSIT is.
	shippoSubstatuses = map[string]status{
		"out_for_delivery": {"out_for_delivery", ""}, "pickup_available": {"available_for_pickup", ""}, "package_accepted": {"in_transit", "picked_up"}, "delivery_attempted": {"in_transit", "attempt_failed"},
		"package_held": {"in_transit", "on_hold"}, "delivery_rescheduled": {"in_transit", "delayed"}, "delayed": {"in_transit", "delayed"}, "package_lost": {"failure", "lost"}, "package_damaged": {"failure", "damaged"},
		"return_to_sender": {"return_to_sender", ""}, "package_unclaimed": {"return_to_sender", "unclaimed"},
	}

	karrio = map[string]status{
		"unknown": {"unknown", ""}, "pending": {"pre_transit", ""}, "picked_up": {"in_transit", "picked_up"}, "in_transit": {"in_transit", ""}, "on_hold": {"in_transit", "on_hold"},
		"delivery_delayed": {"in_transit", "delayed"}, "out_for_delivery": {"out_for_delivery", ""}, "ready_for_pickup": {"available_for_pickup", ""}, "delivered": {"delivered", ""},
		"return_to_sender": {"return_to_sender", ""}, "delivery_failed": {"failure", ""}, "cancelled": {"cancelled", ""},
	}

	dhl = map[string]status{
		"unknown": {"unknown", ""}, "pre-transit": {"pre_transit", ""}, "transit": {"in_transit", ""}, "delivered": {"delivered", ""}, "failure": {"failure", ""},
	}

	ups = map[string]status{
		"m": {"pre_transit", ""}, "mv": {"pre_transit", ""}, "mp": {"pre_transit", ""}, "i": {"in_transit", ""}, "or": {"in_transit", ""}, "dp": {"in_transit", ""}, "ar": {"in_transit", ""},
		"p": {"in_transit", "picked_up"}, "ot": {"out_for_delivery", ""}, "od": {"out_for_delivery", ""}, "o": {"out_for_delivery", ""}, "rp": {"available_for_pickup", ""}, "ac": {"available_for_pickup", ""},
		"d": {"delivered", ""}, "rs": {"return_to_sender", ""}, "rt": {"return_to_sender", ""}, "x": {"failure", ""}, "rf": {"failure", ""}, "vd": {"cancelled", ""}, "ca": {"cancelled", ""},
	}
)

// words is a table of words that are called the same.
func words(list ...string) map[string]status {
	m := map[string]status{}
	for _, word := range list {
		m[word] = status{word, ""}
	}
	return m
}

// of looks a word up in a table.
func of(table map[string]status, word string) status {
	if s, ok := table[strings.ToLower(strings.TrimSpace(word))]; ok {
		return s
	}
	return status{"unknown", ""}
}

// refine takes what a finer table says of a word, if it says anything.
func (s status) refine(table map[string]status, word string) status {
	if finer, ok := table[strings.ToLower(strings.TrimSpace(word))]; ok {
		return finer
	}
	return s
}

// reasons are our codes for why a parcel is not where it should be (Karrio's words), by what the carrier's sentence says.
var reasons = []struct{ part, reason string }{
	{"customs", "customs_inspection"}, {"zoll", "customs_inspection"}, {"douane", "customs_inspection"}, {"lost", "carrier_parcel_lost"}, {"damage", "carrier_damaged_parcel"},
	{"weather", "weather_delay"}, {"refused", "consignee_refused"}, {"not home", "consignee_not_home"}, {"not available", "consignee_not_home"}, {"business closed", "consignee_business_closed"},
	{"incorrect address", "consignee_incorrect_address"}, {"wrong address", "consignee_incorrect_address"}, {"incomplete address", "consignee_incorrect_address"}, {"research", "parcel_being_researched"}, {"investigat", "parcel_being_researched"},
}

// reasonOf finds why, of an event that is not simply on its way.
func reasonOf(s status, text string) string {
	if s.status != "failure" && s.status != "return_to_sender" && s.detail == "" {
		return ""
	}
	text = strings.ToLower(text)
	for _, r := range reasons {
		if strings.Contains(text, r.part) {
			return r.reason
		}
	}
	return ""
}
