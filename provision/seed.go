package provision

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"berth/api"
	"berth/inventory"
)

// The NoCloud seed: what cloud-init in an image is told at its first boot (cloud-init's "NoCloud" data source: meta-data, user-data
// and network-config version 2 on a file system labelled CIDATA).

// document is a YAML mapping on its way.
type document map[string]any

// seed renders what the machine is told. The token in it is good for one report.
func (s *Service) seed(tx inventory.Tx, d *inventory.Device, p *deployPlan, op inventory.UID, token string) (*api.Seed, error) {
	host := hostname(d, p.Profile)
	meta, err := yaml.Marshal(document{"instance-id": "berth-" + string(op), "local-hostname": host})
	if err != nil {
		return nil, fmt.Errorf("render the meta-data of %s: %w", d.Name, err)
	}
	user, err := s.userData(host, p.Profile, token)
	if err != nil {
		return nil, fmt.Errorf("render the user-data of %s: %w", d.Name, err)
	}
	network, err := networkConfig(tx, d, p.Profile)
	if err != nil {
		return nil, fmt.Errorf("render the network-config of %s: %w", d.Name, err)
	}
	return &api.Seed{MetaData: string(meta), UserData: user, NetworkConfig: network}, nil
}

func hostname(d *inventory.Device, p *inventory.Profile) string {
	if p != nil && p.HostnameTemplate != "" {
		return strings.ReplaceAll(p.HostnameTemplate, "{name}", d.Name)
	}
	return d.Name
}

// userData lays what berth needs over what the profile brings: mappings are berth's where both have a key, lists are joined.
func (s *Service) userData(host string, p *inventory.Profile, token string) (string, error) {
	doc := document{}
	if p != nil && strings.TrimSpace(p.UserData) != "" {
		if err := yaml.Unmarshal([]byte(p.UserData), &doc); err != nil {
			return "", inventory.NotAllowed("profile", "user_data", "profile %s: it is no #cloud-config document, which is a YAML mapping: %v", p.Slug, err)
		}
		if doc == nil { // "null" is a document too
			doc = document{}
		}
	}
	short, _, dotted := strings.Cut(host, ".")
	doc["hostname"], doc["preserve_hostname"] = short, false
	if dotted {
		doc["fqdn"] = host
	}
	if p != nil {
		keys(doc, p)
		if len(p.NTP) > 0 {
			doc["ntp"] = document{"enabled": true, "servers": p.NTP}
		}
	}
	if token != "" && s.AgentURL != "" {
		script, err := reportScript(strings.TrimSuffix(s.AgentURL, "/")+"/agent/v1/booted/"+token, s.Certificate)
		if err != nil {
			return "", err
		}
		join(doc, "write_files", document{"path": reportPath, "permissions": "0700", "owner": "root:root", "content": script})
		join(doc, "runcmd", []string{"python3", reportPath})
	}
	text, err := yaml.Marshal(doc)
	if err != nil {
		return "", err
	}
	return "#cloud-config\n" + string(text), nil
}

// keys lets the profile's SSH keys in, for its user, or for the image's own default user.
func keys(doc document, p *inventory.Profile) {
	if len(p.SSHKeys) == 0 {
		return
	}
	if p.User == "" || p.User == "root" {
		for _, k := range p.SSHKeys {
			join(doc, "ssh_authorized_keys", k)
		}
		if p.User == "root" {
			doc["disable_root"] = false
		}
		return
	}
	join(doc, "users", document{"name": p.User, "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL", "lock_passwd": true, "ssh_authorized_keys": p.SSHKeys})
}

// join adds an item to a list of the document, which a profile may have begun; cloud-init takes a single item for a list of one.
func join(doc document, key string, item any) {
	list, ok := doc[key].([]any)
	if one := doc[key]; !ok && one != nil {
		list = []any{one}
	}
	doc[key] = append(list, item)
}

const reportPath = "/run/berth-report.py"

// reportScript is what the installed system runs once. Python is there wherever cloud-init is, which is why it is no shell script; it
// trusts the server's own certificate and nothing else, and gives up after ten minutes. It syncs the disks first: "deployed" promises a
// machine that starts again whatever happens to its power, and a first boot that is still in memory is lost with it (host name, host keys).
func reportScript(url, certificate string) (string, error) {
	settings, err := json.Marshal(map[string]string{"url": url, "certificate": certificate})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`import glob, json, os, platform, socket, ssl, subprocess, time, urllib.request

SETTINGS = json.loads(%q)

def read(path):
    try:
        with open(path) as f:
            return f.read().strip()
    except OSError:
        return ""

def release():
    for line in read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return ""

def addresses():
    try:
        out = subprocess.run(["ip", "-j", "addr"], capture_output=True, timeout=10).stdout
        return ["%%s/%%d" %% (a["local"], a["prefixlen"])
                for link in json.loads(out) for a in link.get("addr_info", []) if a.get("scope") == "global"]
    except Exception:
        return []

report = json.dumps({
    "hostname": socket.gethostname(),
    "machine_id": read("/etc/machine-id"),
    "boot_id": read("/proc/sys/kernel/random/boot_id"),
    "kernel": platform.release(),
    "os": release(),
    "uuid": read("/sys/class/dmi/id/product_uuid").lower(),
    "addresses": addresses(),
    "host_keys": [read(p) for p in sorted(glob.glob("/etc/ssh/ssh_host_*_key.pub"))],
}).encode()

# Who hears the report may cut the power a moment later: what the first boot wrote must be on the disk before.
os.sync()

tls = ssl.create_default_context(cadata=SETTINGS["certificate"])
tls.check_hostname = False
for attempt in range(120):
    try:
        request = urllib.request.Request(SETTINGS["url"], data=report, headers={"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10, context=tls).read()
        break
    except Exception as e:
        print("berth was not reached:", e)
        time.sleep(5)
os.unlink(__file__)
`, string(settings)), nil
}

// networkConfig renders the machine's links: by default DHCP on the port it boots from, or what the record says of each link.
func networkConfig(tx inventory.Tx, d *inventory.Device, p *inventory.Profile) (string, error) {
	ports, err := inventory.TxList[inventory.Interface](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("device", d.UID)}, Sort: "name", Limit: inventory.MaxPage})
	if err != nil {
		return "", err
	}
	mode := "dhcp-boot"
	if p != nil && p.Network != "" {
		mode = p.Network
	}
	net := netplan{doc: document{"version": 2}, names: linkNames(ports), ports: ports, mode: mode}
	if p != nil {
		net.dns = p.DNS
	}
	for _, port := range ports {
		addresses, err := addressesOf(tx, port.UID)
		if err != nil {
			return "", err
		}
		net.add(port, addresses)
	}
	if mode == "static" && !net.addressed {
		return "", &inventory.Conflict{Noun: "machine", UID: d.UID,
			Why: fmt.Sprintf("profile %s gives %s its addresses from the record, which has none for its interfaces; enter one, or choose DHCP", p.Slug, d.Name)}
	}
	text, err := yaml.Marshal(net.doc)
	return string(text), err
}

// netplan builds a network-config, version 2.
type netplan struct {
	doc       document
	ports     []*inventory.Interface
	names     map[inventory.UID]string
	mode      string
	dns       []string // of the profile; else each subnet's
	addressed bool     // some link has a static address
}

// maxLinkName is what the kernel keeps of a name, in bytes (IFNAMSIZ without its zero).
const maxLinkName = 15

// linkNames says what each link is called in the installed system. cloud-init renames physical ports by their MAC address (set-name).
func linkNames(ports []*inventory.Interface) map[inventory.UID]string {
	names, taken := map[inventory.UID]string{}, map[string]bool{}
	for _, port := range ports {
		name := linkName(port)
		for i := 2; taken[name] || name == ""; i++ {
			suffix := fmt.Sprintf("-%d", i)
			base := linkName(port)
			name = base[:min(len(base), maxLinkName-len(suffix))] + suffix
			if base == "" {
				name = "port" + suffix
			}
		}
		names[port.UID], taken[name] = name, true
	}
	return names
}

func linkName(port *inventory.Interface) string {
	name := port.Name
	if strings.HasPrefix(name, provisionalPort) && len(name) > maxLinkName {
		name = "p" + strings.TrimPrefix(name, provisionalPort) // twelve digits of a MAC address fit
	}
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(name[:min(len(name), maxLinkName)], "-.")
}

// members are the links that a bond or bridge is made of.
func (n *netplan) members(of inventory.UID) []*inventory.Interface {
	var out []*inventory.Interface
	for _, p := range n.ports {
		if p.Parent == of && p.Kind != "vlan" {
			out = append(out, p)
		}
	}
	return out
}

// member tells whether a link is part of a bond or bridge, and so has no addresses of its own.
func member(port *inventory.Interface) bool { return port.Parent != "" && port.Kind != "vlan" }

// boots tells whether the machine boots through a link: itself, or a member of it. depth bounds a record whose links go in a circle.
func (n *netplan) boots(port *inventory.Interface, depth int) bool {
	if port.BootFrom || depth == 0 {
		return port.BootFrom
	}
	for _, m := range n.members(port.UID) {
		if n.boots(m, depth-1) {
			return true
		}
	}
	return false
}

func (n *netplan) add(port *inventory.Interface, addresses []address) {
	link := document{}
	section := "ethernets"
	switch port.Kind {
	case "bmc":
		return
	case "bond", "bridge":
		section = port.Kind + "s"
		members := []string{}
		for _, m := range n.members(port.UID) {
			members = append(members, n.names[m.UID])
		}
		link["interfaces"] = members
		if port.Kind == "bond" {
			link["parameters"] = document{"mode": "802.3ad", "mii-monitor-interval": 100}
		}
	case "vlan":
		section = "vlans"
		link["id"], link["link"] = port.VLAN, n.names[port.Parent]
	default:
		if port.MAC == "" {
			return
		}
		link["match"], link["set-name"] = document{"macaddress": port.MAC}, n.names[port.UID]
		// An installed system that waits for every unplugged port takes minutes to come up.
		link["optional"] = true
	}
	if !member(port) {
		n.address(link, port, addresses)
	}
	if port.MTU > 0 {
		link["mtu"] = port.MTU
	}
	links, _ := n.doc[section].(document)
	if links == nil {
		links = document{}
		n.doc[section] = links
	}
	links[n.names[port.UID]] = link
}

func (n *netplan) address(link document, port *inventory.Interface, addresses []address) {
	dns := n.dns
	switch {
	case len(addresses) > 0 && n.mode == "static":
		dns = n.static(link, addresses)
	case n.mode == "dhcp-all", n.mode == "dhcp-boot" && n.boots(port, maxNesting):
		link["dhcp4"] = true
	default:
		return
	}
	if len(dns) > 0 {
		link["nameservers"] = document{"addresses": dns}
	}
}

// maxNesting is how deep links may lie in one another: a port in a bond in a bridge, and room to spare.
const maxNesting = 8

// static gives a link its addresses and each gateway once, and returns the name servers to ask through it.
func (n *netplan) static(link document, addresses []address) []string {
	var list []string
	var routes []document
	dns, seen := slices.Clone(n.dns), map[netip.Addr]bool{}
	for _, a := range addresses {
		list = append(list, a.prefix.String())
		if len(n.dns) == 0 {
			for _, server := range a.dns {
				if !slices.Contains(dns, server) {
					dns = append(dns, server)
				}
			}
		}
		if !a.gateway.IsValid() || seen[a.gateway] {
			continue
		}
		seen[a.gateway] = true
		// Spelled out: cloud-init up to 22.4 (Debian 12) takes the word "default" for a malformed network.
		to := "0.0.0.0/0"
		if a.gateway.Is6() {
			to = "::/0"
		}
		routes = append(routes, document{"to": to, "via": a.gateway.String()})
	}
	n.addressed, link["addresses"] = true, list
	if len(routes) > 0 {
		link["routes"] = routes
	}
	return dns
}

// address is an address of the record with what its subnet adds.
type address struct {
	prefix  netip.Prefix
	gateway netip.Addr
	dns     []string
}

func addressesOf(tx inventory.Tx, port inventory.UID) ([]address, error) {
	list, err := inventory.TxList[inventory.Address](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("interface", port)}, Sort: "address", Limit: inventory.MaxPage})
	if err != nil {
		return nil, err
	}
	var out []address
	for _, a := range list {
		resolved, err := resolve(tx, a)
		if err != nil {
			return nil, err
		}
		out = append(out, resolved)
	}
	return out, nil
}

// resolve takes the length of the prefix, the gateway and the name servers from the address's subnet: the one it names, or the smallest
// on record that holds it. An address without any would be a network of one, which reaches nothing.
func resolve(tx inventory.Tx, a *inventory.Address) (address, error) {
	var out address
	ip, err := netip.ParseAddr(a.Address)
	if err != nil {
		return out, fmt.Errorf("address %q on record: %w", a.Address, err)
	}
	subnets, err := inventory.TxList[inventory.Subnet](tx, inventory.Query{Limit: inventory.MaxPage})
	if err != nil {
		return out, err
	}
	for _, s := range subnets {
		whole, err := netip.ParsePrefix(s.Prefix)
		if err != nil || !whole.Contains(ip) || a.Subnet != "" && a.Subnet != s.UID || out.prefix.IsValid() && out.prefix.Bits() >= whole.Bits() {
			continue
		}
		out = address{prefix: netip.PrefixFrom(ip, whole.Bits()), dns: s.DNS}
		if gateway, err := netip.ParseAddr(s.Gateway); err == nil && gateway != ip {
			out.gateway = gateway
		}
	}
	if !out.prefix.IsValid() {
		return out, &inventory.Conflict{Noun: "address", UID: a.UID, Why: fmt.Sprintf("address %s lies in no subnet on record, so that its length is not known", ip)}
	}
	return out, nil
}
