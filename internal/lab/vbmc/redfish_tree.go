package vbmc

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth/internal/lab/hardware"
)

// show builds one resource, or reports that there is none at this path.
type show func(req *http.Request) (object, bool)

// resources is every readable path of the tree.
func (r *redfishServer) resources() map[string]show {
	const (
		v1      = redfishRoot
		system  = v1 + "/Systems/{system}"
		chassis = v1 + "/Chassis/{chassis}"
		manager = v1 + "/Managers/{manager}"
	)
	return map[string]show{
		"/redfish":                                   r.version,
		v1:                                           r.root,
		v1 + "/odata":                                r.odata,
		v1 + "/SessionService":                       r.sessionService,
		v1 + "/SessionService/Sessions":              r.sessionList,
		v1 + "/SessionService/Sessions/{id}":         r.sessionOne,
		v1 + "/AccountService":                       r.accountService,
		v1 + "/AccountService/Accounts":              r.accountList,
		v1 + "/AccountService/Accounts/1":            r.account,
		v1 + "/Systems":                              r.systemList,
		system:                                       r.system,
		system + "/Processors":                       r.processorList,
		system + "/Processors/{id}":                  r.processor,
		system + "/Memory":                           r.memoryList,
		system + "/Memory/{id}":                      r.memory,
		system + "/Storage":                          r.storageList,
		system + "/Storage/{storage}":                r.storage,
		system + "/Storage/{storage}/Drives/{id}":    r.drive,
		system + "/EthernetInterfaces":               r.nicList,
		system + "/EthernetInterfaces/{id}":          r.nic,
		system + "/LogServices":                      r.logServiceList,
		system + "/LogServices/SEL":                  r.logService,
		system + "/LogServices/SEL/Entries":          r.logEntries,
		system + "/LogServices/SEL/Entries/{id}":     r.logEntry,
		v1 + "/Chassis":                              r.chassisList,
		chassis:                                      r.chassis,
		chassis + "/Power":                           r.power,
		chassis + "/Thermal":                         r.thermal,
		v1 + "/Managers":                             r.managerList,
		manager:                                      r.manager,
		manager + "/EthernetInterfaces":              r.managerNICList,
		manager + "/EthernetInterfaces/1":            r.managerNIC,
		v1 + "/UpdateService":                        r.updateService,
		v1 + "/UpdateService/FirmwareInventory":      r.firmwareList,
		v1 + "/UpdateService/FirmwareInventory/{id}": r.firmware,
	}
}

// path is the address of a resource as this controller writes it in links.
func (r *redfishServer) path(below string) string {
	if r.bmc.cfg.TrailingSlash {
		below += "/"
	}
	return redfishRoot + below
}

func (r *redfishServer) link(below string) object { return object{"@odata.id": r.path(below)} }

// resource is the head that all resources share.
func (r *redfishServer) resource(below, kind, id, name string) object {
	return object{"@odata.id": r.path(below), "@odata.type": "#" + kind, "Id": id, "Name": name}
}

// collection lists members by their ids.
func (r *redfishServer) collection(below, kind, name string, ids []string) object {
	members := make([]object, 0, len(ids))
	for _, id := range ids {
		members = append(members, r.link(below+"/"+id))
	}
	return object{
		"@odata.id":           r.path(below),
		"@odata.type":         "#" + kind + "." + kind,
		"Name":                name,
		"Members":             members,
		"Members@odata.count": len(members),
	}
}

func status(state string) object {
	if state != "Enabled" {
		return object{"State": state}
	}
	return object{"State": state, "Health": "OK", "HealthRollup": "OK"}
}

// text is a property that is null when the controller does not know it.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (r *redfishServer) version(*http.Request) (object, bool) {
	return object{"v1": redfishRoot + "/"}, true
}

func (r *redfishServer) root(*http.Request) (object, bool) {
	o := r.resource("", "ServiceRoot.v1_11_0.ServiceRoot", "RootService", "Root Service")
	o["@odata.id"] = redfishRoot + "/"
	o["RedfishVersion"] = "1.12.0"
	o["UUID"] = r.bmc.hosts[0].Server().UUID
	o["Vendor"] = "Lab"
	o["Product"] = "Virtual BMC"
	for _, name := range []string{"Systems", "Chassis", "Managers", "SessionService", "AccountService", "UpdateService"} {
		o[name] = r.link("/" + name)
	}
	o["Links"] = object{"Sessions": r.link("/SessionService/Sessions")}
	return o, true
}

func (r *redfishServer) odata(*http.Request) (object, bool) {
	var services []object
	for _, name := range []string{"Systems", "Chassis", "Managers", "SessionService", "AccountService", "UpdateService"} {
		services = append(services, object{"name": name, "kind": "Singleton", "url": r.path("/" + name)})
	}
	return object{"@odata.context": redfishRoot + "/$metadata", "value": services}, true
}

func (r *redfishServer) sessionService(*http.Request) (object, bool) {
	o := r.resource("/SessionService", "SessionService.v1_1_8.SessionService", "SessionService", "Session Service")
	o["ServiceEnabled"] = true
	o["SessionTimeout"] = int(r.bmc.cfg.SessionTimeout / time.Second)
	o["Sessions"] = r.link("/SessionService/Sessions")
	return o, true
}

func (r *redfishServer) sessionList(*http.Request) (object, bool) {
	var ids []string
	for _, s := range r.sessions.list() {
		ids = append(ids, s.id)
	}
	return r.collection("/SessionService/Sessions", "SessionCollection", "Sessions", ids), true
}

func (r *redfishServer) sessionOne(req *http.Request) (object, bool) {
	for _, s := range r.sessions.list() {
		if s.id == req.PathValue("id") {
			return r.showSession(s), true
		}
	}
	return nil, false
}

func (r *redfishServer) showSession(s session) object {
	o := r.resource("/SessionService/Sessions/"+s.id, "Session.v1_3_0.Session", s.id, "Session")
	o["UserName"] = s.username
	o["CreatedTime"] = s.created.UTC().Format(time.RFC3339)
	return o
}

func (r *redfishServer) accountService(*http.Request) (object, bool) {
	o := r.resource("/AccountService", "AccountService.v1_10_0.AccountService", "AccountService", "Account Service")
	o["ServiceEnabled"] = true
	o["Accounts"] = r.link("/AccountService/Accounts")
	return o, true
}

func (r *redfishServer) accountList(*http.Request) (object, bool) {
	return r.collection("/AccountService/Accounts", "ManagerAccountCollection", "Accounts", []string{"1"}), true
}

func (r *redfishServer) account(*http.Request) (object, bool) {
	user, _ := r.bmc.Credentials()
	o := r.resource("/AccountService/Accounts/1", "ManagerAccount.v1_8_0.ManagerAccount", "1", "Account")
	o["UserName"], o["Password"], o["RoleId"], o["Enabled"] = user, nil, "Administrator", true
	return o, true
}

func (r *redfishServer) systemList(*http.Request) (object, bool) {
	ids := r.bmc.cfg.SystemIDs[:len(r.bmc.hosts)]
	return r.collection("/Systems", "ComputerSystemCollection", "Computer Systems", ids), true
}

// system is the machine itself.
func (r *redfishServer) system(req *http.Request) (object, bool) {
	h, ok := r.host(req)
	if !ok {
		return nil, false
	}
	id := req.PathValue("system")
	base := "/Systems/" + id
	s := r.bmc.hardwareOf(h)
	o := r.resource(base, "ComputerSystem.v1_16_0.ComputerSystem", id, "System")
	o["SystemType"] = "Physical"
	o["Manufacturer"], o["Model"] = text(s.System.Manufacturer), text(s.System.Product)
	o["SerialNumber"], o["AssetTag"] = text(s.System.Serial), text(s.System.Asset)
	o["SKU"], o["PartNumber"] = text(s.System.Version), nil
	o["UUID"] = text(s.UUID)
	o["HostName"] = nil
	o["BiosVersion"] = text(s.BIOS.Version)
	o["PowerState"] = map[hardware.PowerState]string{hardware.On: "On", hardware.Off: "Off"}[r.bmc.powerState(h)]
	o["Status"] = status("Enabled")
	o["ProcessorSummary"] = object{"Count": min(s.CPU.Cores, 1), "Model": text(s.CPU.Model), "CoreCount": s.CPU.Cores}
	o["MemorySummary"] = object{"TotalSystemMemoryGiB": float64(s.MemoryMiB()) / 1024}
	o["Boot"] = showBoot(h.Override(), s.Firmware)
	for _, name := range []string{"Processors", "Memory", "Storage", "EthernetInterfaces", "LogServices"} {
		o[name] = r.link(base + "/" + name)
	}
	o["Links"] = object{
		"Chassis":   []object{r.link("/Chassis/" + r.chassisID(h))},
		"ManagedBy": []object{r.link("/Managers/" + r.bmc.cfg.ManagerID)},
	}
	o["Actions"] = object{"#ComputerSystem.Reset": object{
		"target":                            r.path(base + "/Actions/ComputerSystem.Reset"),
		"ResetType@Redfish.AllowableValues": resetNames(),
	}}
	o["@odata.etag"] = etag(o)
	return o, true
}

// parts runs show with the host's description and the path of its system.
func (r *redfishServer) parts(req *http.Request, show func(s hardware.Server, base string) (object, bool)) (object, bool) {
	h, ok := r.host(req)
	if !ok {
		return nil, false
	}
	return show(r.bmc.hardwareOf(h), "/Systems/"+req.PathValue("system"))
}

const cpuID = "CPU1"

func (r *redfishServer) processorList(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		var ids []string
		if s.CPU.Cores > 0 {
			ids = []string{cpuID}
		}
		return r.collection(base+"/Processors", "ProcessorCollection", "Processors", ids), true
	})
}

func (r *redfishServer) processor(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		if s.CPU.Cores == 0 || req.PathValue("id") != cpuID {
			return nil, false
		}
		o := r.resource(base+"/Processors/"+cpuID, "Processor.v1_13_0.Processor", cpuID, "Processor")
		o["ProcessorType"], o["Socket"] = "CPU", "CPU 1"
		o["ProcessorArchitecture"], o["InstructionSet"] = "x86", "x86-64"
		o["Manufacturer"], o["Model"] = text(s.CPU.Manufacturer), text(s.CPU.Model)
		o["SerialNumber"] = text(s.CPU.Serial)
		o["TotalCores"], o["TotalThreads"] = s.CPU.Cores, s.CPU.Cores
		o["Status"] = status("Enabled")
		return o, true
	})
}

func (r *redfishServer) memoryList(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		var ids []string
		for _, d := range s.DIMMs {
			ids = append(ids, d.Slot)
		}
		return r.collection(base+"/Memory", "MemoryCollection", "Memory", ids), true
	})
}

// memory is one slot, also an empty one: that has a state and no capacity.
func (r *redfishServer) memory(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		i := slices.IndexFunc(s.DIMMs, func(d hardware.DIMM) bool { return d.Slot == req.PathValue("id") })
		if i < 0 {
			return nil, false
		}
		d := s.DIMMs[i]
		o := r.resource(base+"/Memory/"+d.Slot, "Memory.v1_14_0.Memory", d.Slot, d.Slot)
		o["DeviceLocator"] = d.Slot
		if d.SizeMiB == 0 {
			o["Status"] = status("Absent")
			o["CapacityMiB"], o["SerialNumber"] = nil, nil
			return o, true
		}
		o["Status"] = status("Enabled")
		o["CapacityMiB"], o["OperatingSpeedMhz"] = d.SizeMiB, d.SpeedMTs
		o["MemoryType"], o["MemoryDeviceType"], o["BaseModuleType"] = "DRAM", "DDR4", "RDIMM"
		o["Manufacturer"], o["PartNumber"], o["SerialNumber"] = text(d.Manufacturer), text(d.Part), text(d.Serial)
		return o, true
	})
}

// storageOf names the controller that a disk hangs on.
func storageOf(k hardware.DiskKind) string {
	return map[hardware.DiskKind]string{
		hardware.NVMe: "NVMe", hardware.SCSI: "SAS", hardware.SATA: "SATA", hardware.Virtio: "VirtIO",
	}[k]
}

func (r *redfishServer) storageList(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		var ids []string
		for _, d := range s.Disks {
			if id := storageOf(d.Kind); !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		return r.collection(base+"/Storage", "StorageCollection", "Storage", ids), true
	})
}

func (r *redfishServer) storage(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		id := req.PathValue("storage")
		drives := []object{}
		for _, d := range s.Disks {
			if storageOf(d.Kind) == id {
				drives = append(drives, r.link(base+"/Storage/"+id+"/Drives/"+d.Slot))
			}
		}
		if len(drives) == 0 {
			return nil, false
		}
		o := r.resource(base+"/Storage/"+id, "Storage.v1_12_0.Storage", id, id+" controller")
		o["Drives"], o["Drives@odata.count"] = drives, len(drives)
		o["StorageControllers"] = []object{{
			"@odata.id": r.path(base+"/Storage/"+id) + "#/StorageControllers/0", "MemberId": "0",
			"Name": id + " controller", "Manufacturer": "QEMU", "Model": id, "Status": status("Enabled"),
		}}
		o["Status"] = status("Enabled")
		return o, true
	})
}

func (r *redfishServer) drive(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		id, storage := req.PathValue("id"), req.PathValue("storage")
		i := slices.IndexFunc(s.Disks, func(d hardware.Disk) bool { return d.Slot == id && storageOf(d.Kind) == storage })
		if i < 0 {
			return nil, false
		}
		return r.showDrive(s.Disks[i], base+"/Storage/"+storage+"/Drives/"+id), true
	})
}

func (r *redfishServer) showDrive(d hardware.Disk, at string) object {
	o := r.resource(at, "Drive.v1_14_0.Drive", d.Slot, "Drive in "+d.Slot)
	o["SerialNumber"], o["CapacityBytes"] = text(d.Serial), d.Size
	o["MediaType"], o["BlockSizeBytes"] = "SSD", 512
	o["Manufacturer"], o["Model"], o["Revision"] = "QEMU", d.Model, "1.0"
	switch d.Kind {
	case hardware.NVMe:
		o["Protocol"], o["Model"] = "NVMe", "QEMU NVMe Ctrl"
	case hardware.SCSI:
		o["Protocol"] = "SAS"
	case hardware.SATA:
		o["Protocol"] = "SATA"
	case hardware.Virtio:
		o["Protocol"], o["Model"] = nil, "VirtIO"
	}
	if d.WWN != "" {
		format := "NAA"
		if d.Kind == hardware.NVMe {
			format = "EUI"
		}
		o["Identifiers"] = []object{{"DurableName": strings.ToUpper(d.WWN), "DurableNameFormat": format}}
	}
	o["PhysicalLocation"] = object{"PartLocation": object{"ServiceLabel": d.Slot, "LocationType": "Bay"}}
	o["Status"] = status("Enabled")
	return o
}

func (r *redfishServer) nicList(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		var ids []string
		for _, n := range s.NICs {
			ids = append(ids, n.Name)
		}
		return r.collection(base+"/EthernetInterfaces", "EthernetInterfaceCollection", "Ethernet Interfaces", ids), true
	})
}

func (r *redfishServer) nic(req *http.Request) (object, bool) {
	return r.parts(req, func(s hardware.Server, base string) (object, bool) {
		i := slices.IndexFunc(s.NICs, func(n hardware.NIC) bool { return n.Name == req.PathValue("id") })
		if i < 0 {
			return nil, false
		}
		n := s.NICs[i]
		o := r.resource(base+"/EthernetInterfaces/"+n.Name, "EthernetInterface.v1_8_0.EthernetInterface", n.Name, "Port "+n.Name)
		mac := strings.ToUpper(n.MAC.String())
		o["MACAddress"], o["PermanentMACAddress"] = mac, mac
		o["Status"] = status("Enabled")
		return o, true
	})
}

func (r *redfishServer) logServiceList(req *http.Request) (object, bool) {
	if _, ok := r.host(req); !ok {
		return nil, false
	}
	return r.collection("/Systems/"+req.PathValue("system")+"/LogServices", "LogServiceCollection", "Logs", []string{"SEL"}), true
}

func (r *redfishServer) logService(req *http.Request) (object, bool) {
	if _, ok := r.host(req); !ok {
		return nil, false
	}
	base := "/Systems/" + req.PathValue("system") + "/LogServices/SEL"
	o := r.resource(base, "LogService.v1_3_0.LogService", "SEL", "System Event Log")
	o["ServiceEnabled"], o["LogEntryType"] = true, "SEL"
	o["MaxNumberOfRecords"], o["OverWritePolicy"] = eventsKept, "WrapsWhenFull"
	o["Entries"] = r.link(base + "/Entries")
	o["Actions"] = object{"#LogService.ClearLog": object{"target": r.path(base + "/Actions/LogService.ClearLog")}}
	return o, true
}

// logEntries carries the entries themselves, as real services do.
func (r *redfishServer) logEntries(req *http.Request) (object, bool) {
	if _, ok := r.host(req); !ok {
		return nil, false
	}
	base := "/Systems/" + req.PathValue("system") + "/LogServices/SEL/Entries"
	o := r.collection(base, "LogEntryCollection", "Log Entries", nil)
	members := []object{}
	for _, e := range r.bmc.sel.list() {
		members = append(members, r.showEvent(base, e))
	}
	o["Members"], o["Members@odata.count"] = members, len(members)
	return o, true
}

func (r *redfishServer) logEntry(req *http.Request) (object, bool) {
	if _, ok := r.host(req); !ok {
		return nil, false
	}
	base := "/Systems/" + req.PathValue("system") + "/LogServices/SEL/Entries"
	for _, e := range r.bmc.sel.list() {
		if strconv.Itoa(int(e.id)) == req.PathValue("id") {
			return r.showEvent(base, e), true
		}
	}
	return nil, false
}

func (r *redfishServer) showEvent(base string, e event) object {
	id := strconv.Itoa(int(e.id))
	o := r.resource(base+"/"+id, "LogEntry.v1_11_0.LogEntry", id, "Log Entry "+id)
	o["EntryType"], o["Severity"], o["Message"] = "SEL", "OK", e.text
	o["Created"] = e.at.UTC().Format(time.RFC3339)
	o["SensorNumber"] = 1
	return o
}

// chassisID names the chassis of a host.
func (r *redfishServer) chassisID(h Host) string {
	return r.bmc.cfg.ChassisIDs[slices.Index(r.bmc.hosts, h)]
}

func (r *redfishServer) chassisList(*http.Request) (object, bool) {
	ids := r.bmc.cfg.ChassisIDs[:len(r.bmc.hosts)]
	return r.collection("/Chassis", "ChassisCollection", "Chassis", ids), true
}

// chassisHost finds the host whose chassis a path names.
func (r *redfishServer) chassisHost(req *http.Request) (h Host, id string, ok bool) {
	id = req.PathValue("chassis")
	i := slices.Index(r.bmc.cfg.ChassisIDs[:len(r.bmc.hosts)], id)
	if i < 0 {
		return nil, id, false
	}
	return r.bmc.hosts[i], id, true
}

func (r *redfishServer) chassis(req *http.Request) (object, bool) {
	h, id, ok := r.chassisHost(req)
	if !ok {
		return nil, false
	}
	s := r.bmc.hardwareOf(h)
	o := r.resource("/Chassis/"+id, "Chassis.v1_19_0.Chassis", id, "Chassis")
	o["ChassisType"] = "RackMount"
	o["Manufacturer"], o["Model"] = text(s.Chassis.Manufacturer), text(s.Chassis.Product)
	o["SerialNumber"], o["AssetTag"] = text(s.Chassis.Serial), text(s.Chassis.Asset)
	o["PowerState"] = map[hardware.PowerState]string{hardware.On: "On", hardware.Off: "Off"}[r.bmc.powerState(h)]
	o["Status"] = status("Enabled")
	o["Power"], o["Thermal"] = r.link("/Chassis/"+id+"/Power"), r.link("/Chassis/"+id+"/Thermal")
	o["Links"] = object{
		"ComputerSystems": []object{r.link("/Systems/" + r.bmc.cfg.SystemIDs[slices.Index(r.bmc.hosts, h)])},
		"ManagedBy":       []object{r.link("/Managers/" + r.bmc.cfg.ManagerID)},
	}
	return o, true
}

func (r *redfishServer) power(req *http.Request) (object, bool) {
	h, id, ok := r.chassisHost(req)
	if !ok {
		return nil, false
	}
	at := "/Chassis/" + id + "/Power"
	o := r.resource(at, "Power.v1_7_1.Power", "Power", "Power")
	supplies := []object{}
	for i, p := range r.bmc.hardwareOf(h).PSUs {
		supplies = append(supplies, showPSU(p, fmt.Sprintf("%s#/PowerSupplies/%d", r.path(at), i), i))
	}
	o["PowerSupplies"], o["PowerSupplies@odata.count"] = supplies, len(supplies)
	return o, true
}

func showPSU(p hardware.PSU, at string, i int) object {
	o := object{"@odata.id": at, "MemberId": strconv.Itoa(i), "Name": p.Name}
	if p.Absent {
		o["Status"] = status("Absent")
		return o
	}
	o["Model"], o["SerialNumber"], o["FirmwareVersion"] = text(p.Model), text(p.Serial), text(p.Firmware)
	o["PowerCapacityWatts"], o["PowerSupplyType"] = p.Watts, "AC"
	o["LineInputVoltage"], o["Status"] = 230, status("Enabled")
	if p.Unplug {
		o["LineInputVoltage"], o["Status"] = 0, object{"State": "UnavailableOffline", "Health": "Critical"}
	}
	return o
}

func (r *redfishServer) thermal(req *http.Request) (object, bool) {
	_, id, ok := r.chassisHost(req)
	if !ok {
		return nil, false
	}
	at := "/Chassis/" + id + "/Thermal"
	o := r.resource(at, "Thermal.v1_7_1.Thermal", "Thermal", "Thermal")
	o["Temperatures"] = []object{{
		"@odata.id": r.path(at) + "#/Temperatures/0", "MemberId": "0", "Name": "Inlet",
		"ReadingCelsius": 22, "Status": status("Enabled"),
	}}
	o["Fans"] = []object{}
	return o, true
}

func (r *redfishServer) managerList(*http.Request) (object, bool) {
	return r.collection("/Managers", "ManagerCollection", "Managers", []string{r.bmc.cfg.ManagerID}), true
}

func (r *redfishServer) isManager(req *http.Request) bool {
	return req.PathValue("manager") == r.bmc.cfg.ManagerID
}

func (r *redfishServer) manager(req *http.Request) (object, bool) {
	if !r.isManager(req) {
		return nil, false
	}
	id := r.bmc.cfg.ManagerID
	base := "/Managers/" + id
	o := r.resource(base, "Manager.v1_15_0.Manager", id, "Manager")
	o["ManagerType"], o["Model"], o["FirmwareVersion"] = "BMC", "Virtual BMC", r.bmc.cfg.Firmware
	o["PowerState"], o["Status"] = "On", status("Enabled")
	o["DateTime"] = time.Now().UTC().Format(time.RFC3339)
	o["EthernetInterfaces"] = r.link(base + "/EthernetInterfaces")
	systems, chassis := []object{}, []object{}
	for i := range r.bmc.hosts {
		systems = append(systems, r.link("/Systems/"+r.bmc.cfg.SystemIDs[i]))
		chassis = append(chassis, r.link("/Chassis/"+r.bmc.cfg.ChassisIDs[i]))
	}
	o["Links"] = object{"ManagerForServers": systems, "ManagerForChassis": chassis}
	o["Actions"] = object{"#Manager.Reset": object{
		"target":                            r.path(base + "/Actions/Manager.Reset"),
		"ResetType@Redfish.AllowableValues": []string{"ForceRestart", "GracefulRestart"},
	}}
	return o, true
}

func (r *redfishServer) managerNICList(req *http.Request) (object, bool) {
	base := "/Managers/" + req.PathValue("manager") + "/EthernetInterfaces"
	return r.collection(base, "EthernetInterfaceCollection", "Ethernet Interfaces", []string{"1"}), r.isManager(req)
}

func (r *redfishServer) managerNIC(req *http.Request) (object, bool) {
	cfg := r.bmc.cfg
	o := r.resource("/Managers/"+cfg.ManagerID+"/EthernetInterfaces/1", "EthernetInterface.v1_8_0.EthernetInterface", "1", "Management port")
	mac := strings.ToUpper(cfg.MAC.String())
	o["MACAddress"], o["PermanentMACAddress"] = mac, mac
	o["LinkStatus"], o["Status"] = "LinkUp", status("Enabled")
	address := object{"Address": cfg.Addr.String(), "AddressOrigin": "Static"}
	if len(cfg.Mask) == 4 {
		address["SubnetMask"] = fmt.Sprintf("%d.%d.%d.%d", cfg.Mask[0], cfg.Mask[1], cfg.Mask[2], cfg.Mask[3])
	}
	if cfg.Gateway.IsValid() {
		address["Gateway"] = cfg.Gateway.String()
	}
	o["IPv4Addresses"] = []object{address}
	return o, r.isManager(req)
}

func (r *redfishServer) updateService(*http.Request) (object, bool) {
	o := r.resource("/UpdateService", "UpdateService.v1_11_0.UpdateService", "UpdateService", "Update Service")
	o["ServiceEnabled"] = true
	o["FirmwareInventory"] = r.link("/UpdateService/FirmwareInventory")
	return o, true
}

// firmwares lists what runs where: the controller's own and each host's.
func (r *redfishServer) firmwares() (ids []string, versions map[string]string) {
	ids, versions = []string{"BMC"}, map[string]string{"BMC": r.bmc.cfg.Firmware}
	for i, h := range r.bmc.hosts {
		id := "BIOS"
		if len(r.bmc.hosts) > 1 {
			id = fmt.Sprintf("BIOS-%d", i+1)
		}
		if v := r.bmc.hardwareOf(h).BIOS.Version; v != "" {
			ids, versions[id] = append(ids, id), v
		}
	}
	return ids, versions
}

func (r *redfishServer) firmwareList(*http.Request) (object, bool) {
	ids, _ := r.firmwares()
	return r.collection("/UpdateService/FirmwareInventory", "SoftwareInventoryCollection", "Firmware", ids), true
}

func (r *redfishServer) firmware(req *http.Request) (object, bool) {
	id := req.PathValue("id")
	_, versions := r.firmwares()
	v, ok := versions[id]
	if !ok {
		return nil, false
	}
	o := r.resource("/UpdateService/FirmwareInventory/"+id, "SoftwareInventory.v1_6_0.SoftwareInventory", id, id)
	o["Version"], o["Updateable"], o["Status"] = v, false, status("Enabled")
	return o, true
}
