package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"berth/api"
	"berth/inventory"
)

var (
	digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	imageName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$`)
)

// ImportImage reads an image that somebody sends, checks it, and puts it into the catalogue. A digest that was given must be right; an
// upload without one is what its giver says it is.
func (s *Service) ImportImage(ctx context.Context, req inventory.Request, o api.ImportRequest, r io.Reader) (*inventory.Image, error) {
	if o.Why != "" {
		req.Why = o.Why
	}
	if err := checkImport(o); err != nil {
		return nil, err
	}
	img, err := s.announce(ctx, req, o, "upload by "+req.By.Name)
	if err != nil {
		return nil, err
	}
	blob, problem := s.Images.Import(ctx, r, BlobOptions{Format: o.Format, Expected: o.Digest})
	img, err = s.settle(ctx, req, img.UID, blob, problem, true)
	if problem != nil {
		return nil, problem
	}
	return img, err
}

func checkImport(o api.ImportRequest) error {
	if !imageName.MatchString(o.Name) {
		return inventory.NotAllowed("image", "name", "letters, digits, dots, hyphens and underscores, at most 100")
	}
	if o.Digest != "" && !digestForm.MatchString(o.Digest) {
		return inventory.NotAllowed("image", "digest", "it is written sha256: and 64 hexadecimal digits in lower case")
	}
	switch o.Format {
	case "", "raw", "qcow2":
		return nil
	}
	return inventory.NotAllowed("image", "format", "raw or qcow2")
}

// announce makes the catalogue entry before the bytes come. An entry whose import failed may be tried again under its name.
func (s *Service) announce(ctx context.Context, req inventory.Request, o api.ImportRequest, source string) (img *inventory.Image, err error) {
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		img = &inventory.Image{Name: o.Name}
		old, err := inventory.TxGet[inventory.Image](tx, o.Name)
		switch {
		case err == nil && (old.State == "failed" || old.State == "missing"):
			img = old
		case err == nil:
			return &inventory.Conflict{Noun: "image", UID: old.UID, Why: fmt.Sprintf("there is an image called %s already; give the new one another name", o.Name)}
		case !errors.Is(err, inventory.ErrNotFound):
			return err
		}
		img.OS, img.Version, img.Arch, img.Format, img.Source = o.OS, o.Version, o.Arch, o.Format, source
		img.State, img.Problem = "importing", ""
		if img.UID == "" {
			return tx.Create(img)
		}
		return tx.Update(img)
	})
	return img, err
}

// settle ends a catalogue entry as ready or failed.
func (s *Service) settle(ctx context.Context, req inventory.Request, uid inventory.UID, blob Blob, problem error, verified bool) (img *inventory.Image, err error) {
	// Who sent the bytes may be gone; the record must still learn how it ended.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stop()
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		img, err = inventory.TxGet[inventory.Image](tx, string(uid))
		if err != nil {
			return err
		}
		if problem != nil {
			img.State, img.Problem = "failed", clip(problem.Error(), 500)
			return tx.Update(img)
		}
		img.State, img.Problem, img.Format, img.Digest, img.TreeHash = "ready", "", blob.Format, blob.Digest, blob.TreeHash
		img.SizeBytes, img.StoredBytes, img.Verified = blob.SizeBytes, blob.StoredBytes, verified
		return tx.Update(img)
	})
	return img, err
}

// forgetUploads ends the entries whose import died with the server: an upload has nobody to go on with it. An import from a URL goes on.
func (s *Service) forgetUploads(ctx context.Context) error {
	return s.Ledger.Edit(ctx, inventory.NewRequest(inventory.Berth, "the server was started"), func(tx inventory.Tx) error {
		images, err := inventory.TxList[inventory.Image](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("state", "importing")}, Limit: inventory.MaxPage})
		if err != nil || len(images) == 0 {
			return err
		}
		ops, err := inventory.TxList[inventory.Operation](tx, inventory.Query{
			Filters: []inventory.Filter{inventory.Is("kind", KindImport), {Field: "state", Op: inventory.OpIn, Value: "queued,running,waiting"}}, Limit: inventory.MaxPage})
		if err != nil {
			return err
		}
		atWork := map[inventory.UID]bool{}
		for _, op := range ops {
			var args importArgs
			if json.Unmarshal(op.Args, &args) == nil {
				atWork[args.Image] = true
			}
		}
		for _, img := range images {
			if atWork[img.UID] {
				continue
			}
			img.State, img.Problem = "failed", "the server was stopped while the image came in; import it again under the same name"
			if err := tx.Update(img); err != nil {
				return err
			}
		}
		return nil
	})
}

// importArgs are the arguments of an import by the server.
type importArgs struct {
	Image   inventory.UID     `json:"image"`
	Request api.ImportRequest `json:"request"`
}

// ImportURL has the server fetch an image. Without a digest it is marked unverified, and only an admin may deploy it.
func (s *Service) ImportURL(ctx context.Context, req inventory.Request, o api.ImportRequest) (op *inventory.Operation, err error) {
	if o.Why != "" {
		req.Why = o.Why
	}
	if err := checkImport(o); err != nil {
		return nil, err
	}
	if err := checkURL(o.URL); err != nil {
		return nil, err
	}
	if o.Digest == "" && !req.By.Level.Includes(inventory.LevelAdmin) {
		return nil, inventory.NotAllowed("image", "digest", "give the digest of the image; only an admin may import without one")
	}
	img, err := s.announce(ctx, req, o, o.URL)
	if err != nil {
		return nil, err
	}
	err = s.Ledger.Edit(ctx, req, func(tx inventory.Tx) error {
		op, err = s.start(tx, req, nil, KindImport, importArgs{Image: img.UID, Request: o})
		return err
	})
	return op, err
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > 2000 || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return inventory.NotAllowed("image", "url", "it begins with http:// or https://")
	}
	if u.User != nil {
		return inventory.NotAllowed("image", "url", "a password in an address ends up in logs; serve the image without one, or upload it")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && near(a) || strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), "localhost") {
		return inventory.NotAllowed("image", "url", "addresses of this host and of the local link are not fetched from; upload the image instead")
	}
	return nil
}

func (s *Service) importURL() *Sequence {
	return &Sequence{Kind: KindImport, Deadline: 12 * time.Hour, Steps: []StepSpec{
		{Name: "fetch", Usually: "as long as the network takes", Deadline: 6 * time.Hour, Attempts: 3, Pause: 30 * time.Second, Do: s.fetchImage},
	}, Failed: s.importFailed, Cancelled: s.importFailed}
}

func (s *Service) importFailed(tx inventory.Tx, end Ending) error {
	var args importArgs
	if err := json.Unmarshal(end.Operation.Args, &args); err != nil {
		return err
	}
	img, err := inventory.TxGet[inventory.Image](tx, string(args.Image))
	if errors.Is(err, inventory.ErrNotFound) || err == nil && img.State == "ready" {
		return nil
	}
	if err != nil {
		return err
	}
	img.State, img.Problem = "failed", orText(end.Problem, "the import was cancelled")
	return tx.Update(img)
}

func (s *Service) fetchImage(ctx context.Context, r *Run) error {
	var args importArgs
	if err := r.Args(&args); err != nil {
		return err
	}
	img, err := inventory.Get[inventory.Image](ctx, s.Ledger, string(args.Image))
	if err != nil {
		return Permanent(err)
	}
	if img.State == "ready" {
		return nil // stored before the server was stopped
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, args.Request.URL, nil)
	if err != nil {
		return Permanent(err)
	}
	bmcs, err := s.bmcHosts(ctx)
	if err != nil {
		return err
	}
	client := outward(bmcs)
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("fetch the image: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch the image: the server says %s", answer.Status)
	}
	tell := s.stepProgress(ctx, r, "fetch")
	blob, err := s.Images.Import(ctx, answer.Body, BlobOptions{Format: args.Request.Format, Expected: args.Request.Digest,
		Progress: func(done, _ int64) { tell(done, max(answer.ContentLength, 0)) }})
	var invalid *inventory.Invalid
	if errors.As(err, &invalid) {
		return Permanent(err) // the same bytes are refused again
	}
	if err != nil {
		return err // the entry fails with the operation, when nothing is tried any more
	}
	req := inventory.NewRequest(inventory.Actor{Name: r.Operation.Owner, Level: r.Operation.OwnerLevel}, "import from a URL")
	_, err = s.settle(ctx, req, img.UID, blob, nil, args.Request.Digest != "")
	return err
}

// bmcHosts are the addresses of the BMCs on record, which are not fetched from either.
func (s *Service) bmcHosts(ctx context.Context) (map[string]bool, error) {
	hosts := map[string]bool{}
	err := each(ctx, s.Ledger, "bmc", nil, func(b *inventory.BMC) {
		host, _, err := net.SplitHostPort(b.Address)
		if err != nil {
			host = b.Address
		}
		if host != "" && controls(b) {
			hosts[strings.ToLower(strings.Trim(host, "[]"))] = true
		}
	})
	return hosts, err
}

// stepProgress stores how far a step is, once a second at most.
func (s *Service) stepProgress(ctx context.Context, r *Run, phase string) func(done, total int64) {
	var last time.Time
	return func(done, total int64) {
		now := s.Now()
		if now.Sub(last) < time.Second {
			return
		}
		last = now
		err := r.Commit(ctx, func(tx inventory.Tx) error {
			st, err := inventory.TxGet[inventory.Step](tx, string(r.Step.UID))
			if err != nil {
				return err
			}
			st.Phase, st.Done, st.Total = phase, done, total
			return tx.Update(st)
		})
		if err != nil && ctx.Err() == nil {
			s.Logger.Debug("progress could not be stored", "error", err)
		}
	}
}

// outward makes a client that fetches from the world, and from nowhere near: a URL that a person may choose must not reach what only this
// host reaches, nor a BMC. A proxy of the environment is not used: what it reaches, nobody here could check.
func outward(bmcs map[string]bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: 30 * time.Second, Control: func(network, address string, c syscall.RawConn) error {
				return refuseNear(address, bmcs)
			}}).DialContext,
			TLSHandshakeTimeout:   30 * time.Second,
			ResponseHeaderTimeout: time.Minute,
			// A digest is of the file as it is served; nothing may unpack it on the way.
			DisableCompression: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 5 {
				return errors.New("too many redirects")
			}
			return checkURL(r.URL.String())
		},
	}
}

// refuseNear looks at the address that is really dialled, after names were resolved.
func refuseNear(address string, bmcs map[string]bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	a := addrOf(ap.Addr())
	switch {
	case near(a):
		return fmt.Errorf("dial %s: addresses of this host and of the local link are not fetched from", address)
	case bmcs[a.String()]:
		return fmt.Errorf("dial %s: it is a BMC on record, which is not fetched from", address)
	}
	return nil
}

// near tells whether an address leads to this host or its own links, by whatever spelling: NAT64 (RFC 6052) carries IPv4 inside.
func near(a netip.Addr) bool {
	a = addrOf(a)
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	return a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || thisNetwork.Contains(a)
}

var (
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122 §3.2.1.3: "this host on this network"
)
