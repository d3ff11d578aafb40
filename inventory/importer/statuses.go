package importer

// The statuses of other systems on berth's axes: status (what is intended), custody (where it is), condition, disposition (how it
// ended). docs/moving-in.md shows these tables; a test holds the two together.

// netboxDevice is NetBox's DeviceStatusChoices.
var netboxDevice = map[string]axes{
	"active":          {status: "active", custody: "installed"},
	"offline":         {status: "offline", custody: "installed"},
	"planned":         {status: "planned", custody: "expected"},
	"staged":          {status: "staged", custody: "installed"},
	"failed":          {status: "failed", custody: "installed", condition: "damaged"},
	"inventory":       {status: "offline", custody: "storage"},
	"decommissioning": {status: "decommissioning", custody: "installed"},
}

// netboxPart is the status of modules and inventory items.
var netboxPart = map[string]axes{
	"active": {}, "offline": {}, "planned": {}, "staged": {}, "decommissioning": {},
	"failed": {condition: "damaged"},
}

// netboxAsset is netbox-inventory's status of assets.
var netboxAsset = map[string]axes{
	"stored":  {custody: "storage"},
	"used":    {custody: "installed"},
	"retired": {custody: "gone"},
	"ordered": {custody: "expected"},
	"planned": {custody: "expected"},
}

// snipe maps Snipe-IT's status types, and the labels that it comes with.
var snipe = map[string]axes{
	"deployable":          {custody: "storage"},
	"ready to deploy":     {custody: "storage"},
	"deployed":            {custody: "installed"},
	"pending":             {custody: "received"},
	"undeployable":        {custody: "storage", condition: "degraded"},
	"archived":            {custody: "gone"},
	"broken":              {custody: "storage", condition: "damaged"},
	"broken not fixable":  {custody: "storage", condition: "for_parts"},
	"lost stolen":         {custody: "missing"},
	"lost":                {custody: "missing"},
	"stolen":              {custody: "gone", disposition: "stolen"},
	"out for diagnostics": {custody: "at_vendor"},
	"out for repair":      {custody: "at_vendor", condition: "damaged"},
	"sold":                {custody: "gone", disposition: "sold"},
}

// ralph maps the statuses of Ralph's data center and back office assets.
var ralph = map[string]axes{
	"new":                 {status: "planned", custody: "received", condition: "new"},
	"in use":              {status: "active", custody: "installed"},
	"used":                {status: "active", custody: "installed"},
	"in use team":         {status: "active", custody: "installed"},
	"in use test":         {status: "staged", custody: "installed"},
	"in progress":         {status: "staged", custody: "received"},
	"waiting for release": {status: "offline", custody: "storage"},
	"free":                {status: "offline", custody: "storage"},
	"reserved":            {status: "planned", custody: "storage"},
	"to deploy":           {status: "staged", custody: "storage"},
	"in quarantine":       {status: "offline", custody: "storage", condition: "degraded"},
	"installed":           {status: "active", custody: "installed"},
	"damaged":             {status: "failed", custody: "storage", condition: "damaged"},
	"in service":          {status: "offline", custody: "at_vendor"},
	"loan":                {status: "offline", custody: "on_loan"},
	"loan in progress":    {status: "offline", custody: "on_loan"},
	"return in progress":  {status: "offline", custody: "on_loan"},
	"sent":                {status: "offline", custody: "in_transit"},
	"to buy":              {status: "planned", custody: "expected"},
	"bought":              {status: "planned", custody: "expected"},
	"to find":             {status: "offline", custody: "missing"},
	"sale":                {status: "decommissioning", custody: "gone", disposition: "sold"},
	"pre liquidated":      {status: "decommissioning", custody: "storage"},
	"liquidated":          {status: "decommissioning", custody: "gone", disposition: "scrapped"},
}

// opendcim maps openDCIM's device status.
var opendcim = map[string]axes{
	"production":  {status: "active", custody: "installed"},
	"test":        {status: "staged", custody: "installed"},
	"development": {status: "active", custody: "installed"},
	"qa":          {status: "active", custody: "installed"},
	"reserved":    {status: "planned", custody: "expected"},
	"spare":       {status: "offline", custody: "storage"},
	"disposed":    {status: "decommissioning", custody: "gone"},
	"disposal":    {status: "decommissioning", custody: "storage"},
}

// rackStatus is NetBox's RackStatusChoices, which are ours.
var rackStatus = map[string]string{"reserved": "reserved", "available": "available", "planned": "planned", "active": "active", "deprecated": "deprecated"}
