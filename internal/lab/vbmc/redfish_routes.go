package vbmc

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"berth/internal/lab/hardware"
)

// routes is the table of the service.
func (r *redfishServer) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, show := range r.resources() {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, req *http.Request) {
			if body, ok := show(req); ok {
				r.reply(w, req, http.StatusOK, body)
				return
			}
			r.notFound(w, req)
		})
	}
	const system = redfishRoot + "/Systems/{system}"
	mux.HandleFunc("PATCH "+system, r.patchSystem)
	mux.HandleFunc("POST "+system+"/Actions/ComputerSystem.Reset", r.resetSystem)
	mux.HandleFunc("POST "+system+"/LogServices/SEL/Actions/LogService.ClearLog", r.clearLog)
	mux.HandleFunc("POST "+redfishRoot+"/Managers/{manager}/Actions/Manager.Reset", r.resetManager)
	mux.HandleFunc("POST "+redfishRoot+"/SessionService/Sessions", r.login)
	mux.HandleFunc("DELETE "+redfishRoot+"/SessionService/Sessions/{id}", r.logout)
	mux.HandleFunc("PATCH "+redfishRoot+"/AccountService/Accounts/1", r.patchAccount)
	mux.HandleFunc("/", r.notFound)
	return mux
}

func (r *redfishServer) notFound(w http.ResponseWriter, req *http.Request) {
	r.fail(w, req, http.StatusNotFound, "ResourceMissingAtURI", "There is no resource at "+req.URL.Path+".")
}

// host finds the host that a request's path names.
func (r *redfishServer) host(req *http.Request) (Host, bool) {
	i := slices.Index(r.bmc.cfg.SystemIDs, req.PathValue("system"))
	if i < 0 || i >= len(r.bmc.hosts) {
		return nil, false
	}
	return r.bmc.hosts[i], true
}

// login opens a session: DSP0266 section 13.3.4.
func (r *redfishServer) login(w http.ResponseWriter, req *http.Request) {
	var ask struct{ UserName, Password string }
	if !r.decode(w, req, &ask) {
		return
	}
	line := req.Method + " " + req.URL.Path
	if _, bad := r.bmc.faults.strikes(Unauthorized, line); bad || !r.bmc.check(ask.UserName, ask.Password) {
		r.fail(w, req, http.StatusUnauthorized, "ResourceAtUriUnauthorized", "The name or the password is wrong.")
		return
	}
	n, err := r.sessions.create(ask.UserName)
	if _, bad := r.bmc.faults.strikes(SessionLimit, line); bad && err == nil {
		r.sessions.remove(n.id)
		err = errSessionsFull
	}
	if err != nil {
		r.fail(w, req, http.StatusServiceUnavailable, "SessionLimitExceeded", "The session limit is reached: "+err.Error()+".")
		return
	}
	body := r.showSession(n)
	w.Header().Set("X-Auth-Token", n.token)
	w.Header().Set("Location", r.path("/SessionService/Sessions/"+n.id))
	r.reply(w, req, http.StatusCreated, body)
}

func (r *redfishServer) logout(w http.ResponseWriter, req *http.Request) {
	if !r.sessions.remove(req.PathValue("id")) {
		r.notFound(w, req)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// patchAccount changes the password, and is refused without one.
func (r *redfishServer) patchAccount(w http.ResponseWriter, req *http.Request) {
	var ask struct{ Password string }
	if !r.decode(w, req, &ask) {
		return
	}
	if ask.Password == "" {
		r.fail(w, req, http.StatusBadRequest, "PropertyMissing", "Password is missing.")
		return
	}
	user, _ := r.bmc.Credentials()
	r.bmc.SetCredentials(user, ask.Password)
	w.WriteHeader(http.StatusNoContent)
}

// resetTypes is what ComputerSystem.Reset can do. PushPowerButton depends on
// the power state and is not in it.
var resetTypes = map[string]hardware.Action{
	"On":               hardware.PowerOn,
	"ForceOff":         hardware.PowerOff,
	"GracefulShutdown": hardware.Shutdown,
	"ForceRestart":     hardware.Reset,
	"GracefulRestart":  hardware.Reboot,
	"PowerCycle":       hardware.Cycle,
	"Nmi":              hardware.NMI,
}

const pushButton = "PushPowerButton"

// resetNames lists the reset types in a fixed order.
func resetNames() []string {
	names := []string{pushButton}
	for n := range resetTypes {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (r *redfishServer) resetSystem(w http.ResponseWriter, req *http.Request) {
	h, ok := r.host(req)
	if !ok {
		r.notFound(w, req)
		return
	}
	var ask struct{ ResetType string }
	if !r.decode(w, req, &ask) {
		return
	}
	action, ok := resetTypes[ask.ResetType]
	if ask.ResetType == pushButton {
		action, ok = hardware.PowerOn, true
		if h.PowerState() == hardware.On {
			action = hardware.Shutdown
		}
	}
	if !ok {
		r.fail(w, req, http.StatusBadRequest, "ActionParameterNotSupported",
			fmt.Sprintf("ResetType %q is not one of the allowable values.", ask.ResetType))
		return
	}
	ctx, cancel := lasting(req)
	defer cancel()
	if err := r.bmc.act(ctx, h, action); err != nil {
		r.failAction(w, req, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *redfishServer) failAction(w http.ResponseWriter, req *http.Request, err error) {
	switch {
	case errors.Is(err, hardware.ErrOff):
		r.fail(w, req, http.StatusConflict, "ResourceInStandby", "The system is off: "+err.Error()+".")
	case errors.Is(err, hardware.ErrUnsupported):
		r.fail(w, req, http.StatusBadRequest, "ActionNotSupported", err.Error()+".")
	default:
		r.bmc.log.Warn("virtual BMC: reset", "err", err)
		r.fail(w, req, http.StatusInternalServerError, "InternalError", err.Error()+".")
	}
}

// clearLog empties the event log.
func (r *redfishServer) clearLog(w http.ResponseWriter, req *http.Request) {
	if _, ok := r.host(req); !ok {
		r.notFound(w, req)
		return
	}
	r.bmc.sel.clear()
	w.WriteHeader(http.StatusNoContent)
}

// resetManager restarts the controller once its answer had time to leave.
func (r *redfishServer) resetManager(w http.ResponseWriter, req *http.Request) {
	if req.PathValue("manager") != r.bmc.cfg.ManagerID {
		r.notFound(w, req)
		return
	}
	time.AfterFunc(100*time.Millisecond, func() { r.bmc.Reset(resetTime) })
	w.WriteHeader(http.StatusNoContent)
}

// bootTargets is BootSourceOverrideTarget.
var bootTargets = map[string]hardware.Device{
	"None":      hardware.None,
	"Pxe":       hardware.PXE,
	"Hdd":       hardware.HDD,
	"Cd":        hardware.CD,
	"BiosSetup": hardware.Setup,
	"UefiHttp":  hardware.HTTP,
}

// targetsOf lists the targets that a server's firmware knows.
func targetsOf(f hardware.Firmware) []string {
	names := []string{"None", "Pxe", "Hdd", "Cd", "BiosSetup"}
	if f == hardware.UEFI {
		names = append(names, "UefiHttp")
	}
	return names
}

// modesOf lists the firmware modes of a server: the lab's are one or the other,
// as servers without a compatibility module are.
func modesOf(f hardware.Firmware) []string {
	if f == hardware.UEFI {
		return []string{"UEFI"}
	}
	return []string{"Legacy"}
}

// bootPatch is the part of a system that may be written. A pointer that is nil
// was not sent and leaves its property as it is.
type bootPatch struct {
	Boot *struct {
		BootSourceOverrideEnabled *string
		BootSourceOverrideTarget  *string
		BootSourceOverrideMode    *string
	}
}

func (r *redfishServer) patchSystem(w http.ResponseWriter, req *http.Request) {
	h, ok := r.host(req)
	if !ok {
		r.notFound(w, req)
		return
	}
	if !r.matches(w, req) {
		return
	}
	var ask bootPatch
	if !r.decode(w, req, &ask) {
		return
	}
	if ask.Boot == nil {
		r.fail(w, req, http.StatusBadRequest, "PropertyMissing", "Boot is the only property that can be written.")
		return
	}
	o, err := ask.apply(h.Override(), h.Server().Firmware)
	if err != nil {
		r.fail(w, req, http.StatusBadRequest, "PropertyValueNotInList", err.Error()+".")
		return
	}
	r.bmc.setOverride(h, o)
	w.WriteHeader(http.StatusNoContent)
}

// matches holds a PATCH against the ETag it was made from.
func (r *redfishServer) matches(w http.ResponseWriter, req *http.Request) bool {
	want := req.Header.Get("If-Match")
	if want == "" {
		if r.bmc.cfg.StrictETag {
			r.fail(w, req, http.StatusPreconditionRequired, "PreconditionRequired", "If-Match is needed.")
			return false
		}
		return true
	}
	body, _ := r.system(req)
	if want != "*" && want != etag(body) {
		r.fail(w, req, http.StatusPreconditionFailed, "PreconditionFailed", "The ETag is not the resource's any more.")
		return false
	}
	return true
}

// apply merges a patch into an override, or says which value is not allowed.
func (p bootPatch) apply(o hardware.Override, f hardware.Firmware) (hardware.Override, error) {
	if t := p.Boot.BootSourceOverrideTarget; t != nil {
		if !slices.Contains(targetsOf(f), *t) {
			return o, fmt.Errorf("BootSourceOverrideTarget %q is not one of %s", *t, strings.Join(targetsOf(f), ", "))
		}
		o.Device = bootTargets[*t]
	}
	if m := p.Boot.BootSourceOverrideMode; m != nil {
		if !slices.Contains(modesOf(f), *m) {
			return o, fmt.Errorf("BootSourceOverrideMode %q is not one of %s", *m, strings.Join(modesOf(f), ", "))
		}
		o.Mode = hardware.Mode(strings.ToLower(*m))
	}
	if e := p.Boot.BootSourceOverrideEnabled; e != nil {
		switch *e {
		case "Disabled":
			o = hardware.Override{}
		case "Once", "Continuous":
			o.Persistent = *e == "Continuous"
		default:
			return o, fmt.Errorf("BootSourceOverrideEnabled %q is not one of Disabled, Once, Continuous", *e)
		}
	}
	return o, nil
}

// showBoot is the Boot property of a system.
func showBoot(o hardware.Override, f hardware.Firmware) object {
	boot := object{
		"BootSourceOverrideEnabled":                         "Disabled",
		"BootSourceOverrideTarget":                          "None",
		"BootSourceOverrideMode":                            modesOf(f)[0],
		"BootSourceOverrideTarget@Redfish.AllowableValues":  targetsOf(f),
		"BootSourceOverrideMode@Redfish.AllowableValues":    modesOf(f),
		"BootSourceOverrideEnabled@Redfish.AllowableValues": []string{"Disabled", "Once", "Continuous"},
	}
	if !o.Active() {
		return boot
	}
	boot["BootSourceOverrideEnabled"] = "Once"
	if o.Persistent {
		boot["BootSourceOverrideEnabled"] = "Continuous"
	}
	for name, device := range bootTargets {
		if device == o.Device {
			boot["BootSourceOverrideTarget"] = name
		}
	}
	return boot
}
