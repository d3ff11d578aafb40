package provision

import (
	"encoding/json"
	"fmt"
	"net/netip"
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
			return "", fmt.Errorf("the profile's user data is no #cloud-config document: %w", err)
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

// join adds an item to a list of the document, which a profile may have begun.
func join(doc document, key string, item any) {
	list, _ := doc[key].([]any)
	doc[key] = append(list, item)
}

const reportPath = "/run/berth-report.py"

// reportScript is what the installed system runs once. Python is there wherever cloud-init is, which is why it is no shell script; it
// trusts the server's own certificate and nothing else, and gives up after ten minutes.
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
	net := netplan{doc: document{"version": 2}, names: map[inventory.UID]string{}}
	if p != nil {
		net.dns = p.DNS
	}
	for _, port := range ports {
		net.names[port.UID] = linkName(port)
	}
	for _, port := range ports {
		addresses, err := addressesOf(tx, port.UID)
		if err != nil {
			return "", err
		}
		net.add(port, ports, addresses, mode)
	}
	text, err := yaml.Marshal(net.doc)
	return string(text), err
}

// netplan builds a network-config, version 2.
type netplan struct {
	doc   document
	names map[inventory.UID]string
	dns   []string
}

// linkName is what the link is called in the installed system: cloud-init renames physical ports by their address.
func linkName(port *inventory.Interface) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(port.Name))
	// The kernel keeps 15 bytes of a name (IFNAMSIZ).
	if len(name) > 15 {
		name = name[:15]
	}
	return name
}

func (n *netplan) add(port *inventory.Interface, all []*inventory.Interface, addresses []address, mode string) {
	link := document{}
	section := "ethernets"
	switch port.Kind {
	case "bmc":
		return
	case "bond", "bridge":
		section = port.Kind + "s"
		var members []string
		for _, other := range all {
			if other.Parent == port.UID && other.Kind != "vlan" {
				members = append(members, n.names[other.UID])
			}
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
		link["match"] = document{"macaddress": port.MAC}
		// An installed system that waits for every unplugged port takes minutes to come up.
		link["optional"] = true
	}
	n.address(link, port, addresses, mode)
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

func (n *netplan) address(link document, port *inventory.Interface, addresses []address, mode string) {
	switch {
	case len(addresses) > 0 && mode == "static":
		var list []string
		var routes []document
		for _, a := range addresses {
			list = append(list, a.prefix.String())
			if a.gateway.IsValid() {
				routes = append(routes, document{"to": "default", "via": a.gateway.String()})
			}
		}
		link["addresses"] = list
		if len(routes) > 0 {
			link["routes"] = routes
		}
	case mode == "dhcp-all", mode != "static" && port.BootFrom:
		link["dhcp4"] = true
	}
	if len(n.dns) > 0 && (link["addresses"] != nil || link["dhcp4"] != nil) {
		link["nameservers"] = document{"addresses": n.dns}
	}
}

// address is an address of the record with what its subnet adds.
type address struct {
	prefix  netip.Prefix
	gateway netip.Addr
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

// resolve takes the length of the prefix from the address itself, or from its subnet.
func resolve(tx inventory.Tx, a *inventory.Address) (address, error) {
	var out address
	prefix, err := netip.ParsePrefix(a.Address)
	if err != nil {
		addr, err := netip.ParseAddr(a.Address)
		if err != nil {
			return out, fmt.Errorf("address %q on record: %w", a.Address, err)
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	out.prefix = prefix
	if a.Subnet == "" {
		return out, nil
	}
	subnet, err := inventory.TxGet[inventory.Subnet](tx, string(a.Subnet))
	if err != nil {
		return out, err
	}
	if whole, err := netip.ParsePrefix(subnet.Prefix); err == nil && whole.Contains(prefix.Addr()) {
		out.prefix = netip.PrefixFrom(prefix.Addr(), whole.Bits())
	}
	if gateway, err := netip.ParseAddr(subnet.Gateway); err == nil {
		out.gateway = gateway
	}
	return out, nil
}
