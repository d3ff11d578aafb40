package inventory

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// The rules that several nouns share. Each returns why a value cannot be accepted, or "".

var (
	slugForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	labelForm   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	accountForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]*$`)
	userForm    = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	imageForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)
	zoneForm    = regexp.MustCompile(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$`)
	digestForm  = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	hex64Form   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	bmcHostForm = regexp.MustCompile(`^[A-Za-z0-9._:\[\]%-]+$`)
	notInSlug   = regexp.MustCompile(`[^a-z0-9]+`)
)

// setDefault fills an empty value.
func setDefault[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}

// Slug makes a slug of a name: "Rack 4, Keller" becomes "rack-4-keller".
func Slug(name string) string {
	return strings.Trim(notInSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// settleSlug lower-cases a slug, or makes it from the name, and judges it.
func settleSlug(slug *string, name string, bad *findings) {
	*slug = strings.ToLower(*slug)
	setDefault(slug, Slug(name))
	if *slug != "" && (len(*slug) > 100 || !slugForm.MatchString(*slug)) {
		bad.add("slug", "may hold lower-case letters, digits, - and _ only, at most 100")
	}
}

// hostProblem judges a host name by RFC 1123 section 2.1: labels of 1 to 63 letters, digits and inner hyphens, 253 characters in all.
func hostProblem(name string) string {
	if len(name) > 253 {
		return "is longer than the 253 characters a host name may have"
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "is an IP address, not a name"
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 || !labelForm.MatchString(label) {
			return fmt.Sprintf("%q is no part of a host name: letters, digits and inner hyphens, at most 63 (RFC 1123)", label)
		}
	}
	return ""
}

// CanonicalMAC writes a hardware address of 6 to 20 bytes as aa:bb:cc:dd:ee:ff, from any of the usual spellings (aa-bb-…, aabb.ccdd.eeff,
// aabbccddeeff).
func CanonicalMAC(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s)%2 == 0 && len(s) >= 12 && !strings.ContainsAny(s, ":-.") {
		var b strings.Builder
		for i := 0; i < len(s); i += 2 {
			if i > 0 {
				b.WriteByte(':')
			}
			b.WriteString(s[i : i+2])
		}
		s = b.String()
	}
	mac, err := net.ParseMAC(s)
	if err != nil {
		return "", fmt.Errorf("%q is not a MAC address such as aa:bb:cc:dd:ee:ff", abbreviate(s, 60))
	}
	return mac.String(), nil
}

func settleMAC(field string, mac *string, bad *findings) {
	if *mac == "" {
		return
	}
	canonical, err := CanonicalMAC(*mac)
	if err != nil {
		bad.add(field, "%v", err)
		return
	}
	*mac = canonical
}

// inSteps tells whether x is a multiple of half a rack unit.
func inSteps(x float64) bool { return x*2 == math.Trunc(x*2) }

func vlanProblem(id int) string {
	if id < 0 || id > 4094 {
		return "is a VLAN id from 1 to 4094, or 0 for none"
	}
	return ""
}

// judgeServers judges a list of name or time servers.
func judgeServers(field string, list []string, names bool, bad *findings) {
	for _, s := range list {
		_, err := netip.ParseAddr(s)
		if err == nil || (names && hostProblem(strings.ToLower(s)) == "") {
			continue
		}
		bad.add(field, "%q is not an address", abbreviate(s, 60))
	}
}

// Pool is a range of addresses, both ends included.
type Pool struct{ From, To netip.Addr }

// ParsePool reads "10.77.0.100-10.77.0.200", or one address alone.
func ParsePool(s string) (Pool, error) {
	from, to, ranged := strings.Cut(s, "-")
	if !ranged {
		to = from
	}
	a, err := netip.ParseAddr(strings.TrimSpace(from))
	if err == nil {
		var b netip.Addr
		if b, err = netip.ParseAddr(strings.TrimSpace(to)); err == nil {
			return Pool{a, b}, poolProblem(a, b)
		}
	}
	return Pool{}, fmt.Errorf("%q is not a range such as 10.77.0.100-10.77.0.200", abbreviate(s, 60))
}

func poolProblem(a, b netip.Addr) error {
	if a.BitLen() != b.BitLen() || a.Zone() != "" || b.Zone() != "" || b.Less(a) {
		return fmt.Errorf("%s-%s is not a range from a lower to a higher address", a, b)
	}
	return nil
}

func (p Pool) String() string { return p.From.String() + "-" + p.To.String() }

func (p Pool) overlaps(q Pool) bool { return !p.To.Less(q.From) && !q.To.Less(p.From) }

// judgePools normalises the pools of a prefix and judges them: inside it, not on its first or last IPv4 address, apart from each other.
func judgePools(prefix netip.Prefix, texts []string, bad *findings) {
	var pools []Pool
	for i, text := range texts {
		pool, err := ParsePool(text)
		if err != nil {
			bad.add("pools", "%v", err)
			return
		}
		if why := poolOutside(prefix, pool); why != "" {
			bad.add("pools", "%s %s", pool, why)
			return
		}
		for _, other := range pools {
			if pool.overlaps(other) {
				bad.add("pools", "%s and %s overlap", other, pool)
			}
		}
		pools, texts[i] = append(pools, pool), pool.String()
	}
}

func poolOutside(prefix netip.Prefix, pool Pool) string {
	if !prefix.Contains(pool.From) || !prefix.Contains(pool.To) {
		return fmt.Sprintf("is not within %s", prefix)
	}
	if prefix.Addr().Is4() && prefix.Bits() < 31 && (pool.From == prefix.Addr() || !prefix.Contains(pool.To.Next())) {
		return fmt.Sprintf("takes the network or broadcast address of %s", prefix)
	}
	return ""
}

func urlProblem(s string, schemes ...string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return "is not an address such as http://10.77.0.1:8080"
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return ""
		}
	}
	return "must begin with " + strings.Join(schemes, ":// or ") + "://"
}
