package redfish_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/bmctest"
	"berth/bmc/redfish"
)

var update = flag.Bool("update", false, "write the expected inventories anew")

type object = map[string]any

// tree is a Redfish service made of a file, with the behaviour of one vendor.
type tree struct {
	*httptest.Server
	basicOnly bool // no session service
	ifMatch   bool // a PATCH needs the right tag
	// patched, when set, decides about a PATCH of a Boot object instead of merging it; 0 is done.
	patched func(t *tree, path string, boot object) int

	mu        sync.Mutex
	resources map[string]object
	tokens    map[string]bool
	log       []string
	tag       int
}

// trees are the files and their vendors' behaviour.
var trees = map[string]func(*tree){
	"dell-idrac9":    func(*tree) {},
	"hpe-ilo5":       func(*tree) {},
	"hpe-ilo4":       func(*tree) {},
	"supermicro-x11": func(t *tree) { t.patched = legacyWithoutMode },
	"lenovo-xcc":     func(*tree) {},
	"openbmc":        func(*tree) {},
	"ami-megarac":    func(t *tree) { t.ifMatch, t.patched = true, settingsOnly },
	"generic-uuid":   func(t *tree) { t.basicOnly = true },
}

// legacyWithoutMode puts the mode back to Legacy when an override comes without one.
func legacyWithoutMode(t *tree, path string, boot object) int {
	if boot["BootSourceOverrideMode"] == nil {
		boot["BootSourceOverrideMode"] = "Legacy"
	}
	maps.Copy(t.resources[path]["Boot"].(object), boot)
	return 0
}

// settingsOnly takes what is written to the system and forgets it; the settings resource is what counts.
func settingsOnly(t *tree, path string, boot object) int {
	if strings.HasSuffix(path, "/SD") {
		maps.Copy(t.resources[path]["Boot"].(object), boot)
	}
	return 0
}

func serve(t *testing.T, name string) *tree {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	s := &tree{tokens: map[string]bool{}}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&s.resources); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if behave := trees[name]; behave != nil {
		behave(s)
	}
	return s.start(t)
}

func (s *tree) start(t *testing.T) *tree {
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *tree) target() bmc.Target {
	return bmc.Target{
		Kind: bmc.KindRedfish, Address: strings.TrimPrefix(s.URL, "https://"), Username: "admin", Password: bmc.NewSecret("pw"), Insecure: true,
	}
}

func (s *tree) sessions() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.tokens) }

func (s *tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, r.Method+" "+r.RequestURI)
	body := object{}
	if r.Method != http.MethodGet {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	switch {
	case r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/SessionService/Sessions"):
		s.login(w, body)
	case r.URL.Path != "/redfish/v1/" && !s.knows(r):
		refuse(w, 401, "Base.1.0.NoValidSession", "There is no valid session")
	case r.Method == http.MethodGet:
		s.get(w, r.RequestURI)
	case r.Method == http.MethodPatch:
		s.patch(w, r, body)
	case r.Method == http.MethodPost:
		s.act(w, r.URL.Path, body)
	case r.Method == http.MethodDelete:
		delete(s.tokens, r.Header.Get("X-Auth-Token"))
		w.WriteHeader(204)
	}
}

func (s *tree) knows(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return s.tokens[r.Header.Get("X-Auth-Token")] || user == "admin" && password == "pw"
}

func refuse(w http.ResponseWriter, status int, id, text string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object{"error": object{"code": id, "message": "See ExtendedInfo", "@Message.ExtendedInfo": []object{{"MessageId": id, "Message": text}}}})
}

func (s *tree) login(w http.ResponseWriter, body object) {
	switch {
	case s.basicOnly:
		refuse(w, 404, "Base.1.0.ResourceMissingAtURI", "not here")
	case body["UserName"] != "admin" || body["Password"] != "pw":
		// As unkind as a BMC gets: it repeats what it was told.
		refuse(w, 401, "Base.1.0.PropertyValueNotInList", fmt.Sprintf("The value '%v' for the property Password is wrong", body["Password"]))
	default:
		token := rand.Text()
		s.tokens[token] = true
		w.Header().Set("X-Auth-Token", token)
		w.Header().Set("Location", "https://name-it-has-for-itself.invalid/redfish/v1/SessionService/Sessions/"+token[:4])
		w.WriteHeader(201)
	}
}

func (s *tree) find(path string) object {
	for _, p := range []string{path, strings.TrimRight(path, "/"), path + "/"} {
		if r := s.resources[p]; r != nil {
			return r
		}
	}
	return nil
}

func (s *tree) get(w http.ResponseWriter, path string) {
	r := s.find(path)
	if r == nil {
		refuse(w, 404, "Base.1.0.ResourceMissingAtURI", "The resource is missing")
		return
	}
	w.Header().Set("ETag", fmt.Sprintf(`W/"%d"`, s.tag))
	_ = json.NewEncoder(w).Encode(r)
}

func (s *tree) patch(w http.ResponseWriter, r *http.Request, body object) {
	into := s.find(r.URL.Path)
	boot, isBoot := body["Boot"].(object)
	switch {
	case into == nil:
		refuse(w, 404, "Base.1.0.ResourceMissingAtURI", "The resource is missing")
		return
	case s.ifMatch && r.Header.Get("If-Match") == "":
		refuse(w, 428, "Base.1.0.PreconditionRequired", "If-Match is wanted")
		return
	case s.ifMatch && r.Header.Get("If-Match") != fmt.Sprintf(`W/"%d"`, s.tag):
		refuse(w, 412, "Base.1.0.PreconditionFailed", "the tag is old")
		return
	case isBoot && s.patched != nil:
		if status := s.patched(s, r.URL.Path, boot); status != 0 {
			refuse(w, status, "Base.1.0.PropertyNotWritable", "The property is read only")
			return
		}
	case isBoot:
		maps.Copy(into["Boot"].(object), boot)
	default:
		maps.Copy(into, body)
	}
	s.tag++
	w.WriteHeader(204)
}

func (s *tree) act(w http.ResponseWriter, path string, body object) {
	system, _, _ := strings.Cut(path, "/Actions/")
	r := s.find(system)
	switch {
	case strings.HasSuffix(strings.TrimRight(path, "/"), "ComputerSystem.Reset") && r != nil:
		if body["ResetType"] != "Nmi" {
			r["PowerState"] = "On"
		}
		if t := fmt.Sprint(body["ResetType"]); t == "ForceOff" || t == "GracefulShutdown" {
			r["PowerState"] = "Off"
		}
	case strings.HasSuffix(path, "VirtualMedia.InsertMedia") && r != nil:
		if body["Inserted"] != nil { // as an X11 does
			refuse(w, 400, "Base.1.0.PropertyUnknown", "The property Inserted is not in the list of valid properties")
			return
		}
		r["Inserted"], r["Image"] = true, body["Image"]
	case strings.HasSuffix(path, "VirtualMedia.EjectMedia") && r != nil:
		r["Inserted"], r["Image"] = false, nil
	default:
		refuse(w, 404, "Base.1.0.ActionNotSupported", "no such action")
		return
	}
	w.WriteHeader(204)
}

func (s *tree) requests(method string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.log), func(l string) bool { return !strings.HasPrefix(l, method+" ") })
}

// TestInventories reads each vendor's tree and compares the whole of it.
func TestInventories(t *testing.T) {
	for name := range trees {
		t.Run(name, func(t *testing.T) {
			s := serve(t, name)
			ctx := context.Background()
			d, err := redfish.Open(ctx, s.target())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close(ctx)
			in, err := d.Inventory(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := json.MarshalIndent(in, "", "  ")
			got = append(got, '\n')
			golden := filepath.Join("testdata", name+".inventory.json")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("got\n%s", got)
			}
			// The root, the systems and the one system are read before the walk as well; the rest once.
			seen := map[string]bool{}
			for _, r := range s.requests("GET") {
				if r = strings.TrimRight(r, "/"); seen[r] && strings.Count(r, "/") > 4 {
					t.Errorf("asked twice: %s", r)
				}
				seen[r] = true
			}
		})
	}
}

// TestCommandsOnEachTree takes the driver through the suite on each vendor's tree.
func TestCommandsOnEachTree(t *testing.T) {
	pxe, uefi := bmc.Once(bmc.BootPXE, bmc.BootModeAny), bmc.Once(bmc.BootPXE, bmc.BootModeUEFI)
	http := bmc.Once(bmc.BootHTTP, bmc.BootModeUEFI)
	persistent := bmc.Boot{Device: bmc.BootDisk, Persistent: true}
	cd := bmc.Once(bmc.BootCDROM, bmc.BootModeAny)
	nonsense := bmc.Once(bmc.BootHTTP, bmc.BootModeLegacy)
	holds := map[string][]bmc.Boot{
		"lenovo-xcc": {pxe, uefi, persistent, cd}, "openbmc": {pxe, uefi, persistent, cd}, "hpe-ilo4": {pxe, persistent},
	}
	lacks := map[string][]bmc.Boot{"lenovo-xcc": {http, nonsense}, "openbmc": {http}, "hpe-ilo4": {http}}
	for name := range trees {
		t.Run(name, func(t *testing.T) {
			bmctest.Run(t, func(t *testing.T) bmctest.Subject {
				s := serve(t, name)
				subject := bmctest.Subject{
					Open: redfish.Open, Target: s.target(), Elsewhere: nobody(t), Boots: []bmc.Boot{pxe, uefi, http, persistent, cd},
					Unsupported: []bmc.Boot{nonsense}, Shutdown: name != "hpe-ilo4", Sessions: s.sessions, Commands: brisk(),
				}
				if boots, ok := holds[name]; ok {
					subject.Boots, subject.Unsupported = boots, lacks[name]
				}
				if s.basicOnly {
					subject.Sessions = nil
				}
				return subject
			})
		})
	}
}

// TestModeIsKept is PAINS' "reverted to Legacy": asked for no mode, the Supermicro tree still holds UEFI afterwards.
func TestModeIsKept(t *testing.T) {
	s := serve(t, "supermicro-x11")
	ctx := context.Background()
	d, err := redfish.Open(ctx, s.target())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	commands := brisk()
	got, err := commands.Boot(ctx, d, bmc.Once(bmc.BootPXE, bmc.BootModeAny))
	if err != nil || got != bmc.Once(bmc.BootPXE, bmc.BootModeUEFI) {
		t.Errorf("%v, %v; want pxe (uefi) once", got, err)
	}
}

// TestARefusedModeIsLeftOut is a BMC that lets nobody write the mode: where it is right already, the rest is written.
func TestARefusedModeIsLeftOut(t *testing.T) {
	s := serve(t, "dell-idrac9")
	s.patched = func(s *tree, path string, boot object) int {
		if boot["BootSourceOverrideMode"] != nil {
			return 400
		}
		maps.Copy(s.find(path)["Boot"].(object), boot)
		return 0
	}
	ctx := context.Background()
	d, err := redfish.Open(ctx, s.target())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	commands := brisk()
	if got, err := commands.Boot(ctx, d, bmc.Once(bmc.BootPXE, bmc.BootModeUEFI)); err != nil {
		t.Errorf("the mode it has: %v, %v", got, err)
	}
	if _, err := commands.Boot(ctx, d, bmc.Once(bmc.BootPXE, bmc.BootModeLegacy)); !errors.Is(err, bmc.ErrRefused) {
		t.Errorf("another mode: %v, want ErrRefused", err)
	}
}

// TestStrictTypesOfALibraryDoNotStopACommand: bmclib cannot read the generic tree (a model that is a number); the command
// is sent all the same, once.
func TestStrictTypesOfALibraryDoNotStopACommand(t *testing.T) {
	s := serve(t, "generic-uuid")
	ctx := context.Background()
	d, err := redfish.Open(ctx, s.target())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	if err := d.SetPower(ctx, bmc.ActionOn); err != nil {
		t.Fatal(err)
	}
	posts := slices.DeleteFunc(s.requests("POST"), func(l string) bool { return strings.Contains(l, "Session") })
	if len(posts) != 1 {
		t.Errorf("commands sent: %v, want one", posts)
	}
}

func TestVirtualMedia(t *testing.T) {
	s := serve(t, "dell-idrac9")
	ctx := context.Background()
	d, err := redfish.Open(ctx, s.target())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	media := d.(bmc.MediaMounter)
	for _, url := range []string{"http://10.0.0.1/a.iso", "http://10.0.0.1/b.iso"} {
		if err := media.InsertMedia(ctx, url); err != nil {
			t.Fatal(err)
		}
		if got, err := media.Media(ctx); got != url || err != nil {
			t.Errorf("%q, %v; want %s", got, err, url)
		}
	}
	for range 2 {
		if err := media.EjectMedia(ctx); err != nil {
			t.Fatal(err)
		}
		if got, err := media.Media(ctx); got != "" || err != nil {
			t.Errorf("%q, %v; want nothing", got, err)
		}
	}
}

func TestAPasswordThatTheBMCRepeatsIsNotPassedOn(t *testing.T) {
	s := serve(t, "dell-idrac9")
	target := s.target()
	target.Password = bmc.NewSecret("c4n4ry-pw")
	_, err := redfish.Open(context.Background(), target)
	if !errors.Is(err, bmc.ErrAuth) || strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("%v: want ErrAuth without the password", err)
	}
	if n := len(s.requests("POST")); n != 1 {
		t.Errorf("%d logins, want one", n)
	}
}

// TestHostileTrees are BMCs that mean ill, or whose software is in a state as if they did.
func TestHostileTrees(t *testing.T) {
	trap := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("somebody else's server was asked: %s %s %v", r.Method, r.URL, r.Header)
	}))
	t.Cleanup(trap.Close)
	host := strings.TrimPrefix(trap.URL, "https://")
	const v1, sys = "/redfish/v1/", "/redfish/v1/Systems/1"
	plain := func(boot string) map[string]object {
		return map[string]object{
			v1:                    {"Systems": object{"@odata.id": "/redfish/v1/Systems"}},
			"/redfish/v1/Systems": {"Members": []object{{"@odata.id": boot}}},
			sys:                   {"Id": "1", "SerialNumber": "X", "PowerState": "Off"},
		}
	}
	endless := plain(sys)
	endless[sys]["Processors"] = object{"@odata.id": "/redfish/v1/endless"}
	for name, c := range map[string]struct {
		resources map[string]object
		handler   http.HandlerFunc
		want      error
	}{
		"a link that makes the BMC a user name": {resources: plain("@" + host + "/redfish/v1/Systems/1"), want: bmc.ErrMalformed},
		"a link with a scheme":                  {resources: plain(trap.URL + sys), want: bmc.ErrMalformed},
		"a link out of the tree":                {resources: plain("/redfish/v1/../../etc/passwd"), want: bmc.ErrMalformed},
		"a link with a line break":              {resources: plain(sys + "\r\nX: y"), want: bmc.ErrMalformed},
		"a redirect to somebody else": {resources: plain(sys), want: bmc.ErrMalformed, handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, trap.URL+"/redfish/v1/", http.StatusTemporaryRedirect)
		}},
		"an answer without end": {resources: plain(sys), want: bmc.ErrMalformed, handler: func(w http.ResponseWriter, r *http.Request) {
			for _, err := io.WriteString(w, `{"a": "`); err == nil; {
				_, err = w.Write(make([]byte, 1<<16))
			}
		}},
		"nested without end": {resources: plain(sys), want: bmc.ErrMalformed, handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(`{"a":`, 1<<19))
		}},
		"a page of HTML": {resources: plain(sys), want: bmc.ErrMalformed, handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "<html>please log in</html>")
		}},
		"null": {resources: plain(sys), want: bmc.ErrMalformed, handler: func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "null") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := (&tree{tokens: map[string]bool{}, resources: c.resources})
			if c.handler != nil {
				inner := s
				mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == sys {
						c.handler(w, r)
						return
					}
					inner.ServeHTTP(w, r)
				})
				s.Server = httptest.NewUnstartedServer(mux)
				s.Config.ErrorLog = log.New(io.Discard, "", 0)
				s.StartTLS()
				t.Cleanup(s.Close)
			} else {
				s.start(t)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			d, err := redfish.Open(ctx, s.target())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close(ctx)
			_, power := d.Power(ctx)
			_, inventory := d.Inventory(ctx)
			for _, err := range []error{power, inventory} {
				if !errors.Is(err, c.want) || len(err.Error()) > 600 {
					t.Errorf("%v, want %v", err, c.want)
				}
			}
		})
	}
}

// TestATreeWithoutEnd has a collection whose every page leads to another, and a thousand members each.
func TestATreeWithoutEnd(t *testing.T) {
	s := &tree{tokens: map[string]bool{}, resources: map[string]object{
		"/redfish/v1/":          {"Systems": object{"@odata.id": "/redfish/v1/Systems"}},
		"/redfish/v1/Systems":   {"Members": []object{{"@odata.id": "/redfish/v1/Systems/1"}}},
		"/redfish/v1/Systems/1": {"Id": "1", "SerialNumber": "X", "Processors": object{"@odata.id": "/redfish/v1/cpus/0"}, "Memory": object{"@odata.id": "/redfish/v1/dimms/0"}},
	}}
	page := 0
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/redfish/v1/"), "/")
		if !ok || kind != "cpus" && kind != "dimms" {
			s.ServeHTTP(w, r)
			return
		}
		page++
		var members []object
		for i := range 100 {
			members = append(members, object{"@odata.id": fmt.Sprintf("/redfish/v1/%s/%d-%d", kind, page, i)})
		}
		_ = json.NewEncoder(w).Encode(object{"Id": fmt.Sprint(page), "TotalCores": 1, "CapacityMiB": 1, "Members": members, "Members@odata.nextLink": fmt.Sprintf("/redfish/v1/%s/%d", kind, page)})
	}))
	s.StartTLS()
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := redfish.Open(ctx, s.target())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	in, err := d.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(in.CPUs) > 1024 || len(in.DIMMs) > 1024 || len(in.Problems) == 0 {
		t.Errorf("%d processors, %d modules, problems %q", len(in.CPUs), len(in.DIMMs), in.Problems)
	}
}
