package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"berth/bmc"
	"berth/bmc/ipmi"
	"berth/bmc/redfish"
	"berth/bmc/wol"
	"berth/inventory"
	"berth/inventory/blob"
	"berth/inventory/claims"
	"berth/inventory/notify"
	"berth/inventory/notify/hook"
	"berth/inventory/notify/mail"
	"berth/inventory/store"
	"berth/inventory/text"
	"berth/provision"
	"berth/pxe"
	"berth/pxe/dhcp"
	"berth/pxe/httpboot"
	"berth/pxe/lease"
	"berth/pxe/tftp"
	"berth/web"
)

// bmcDrivers is every driver for management controllers.
func bmcDrivers() map[string]bmc.Opener {
	return map[string]bmc.Opener{
		bmc.KindRedfish: redfish.Open,
		bmc.KindIPMI:    ipmi.Open,
		bmc.KindWOL:     wol.Open,
	}
}

// retryAuth is when a BMC that refused a password is asked once more: one that is starting refuses the right one too, and one try in half
// an hour locks no account.
const retryAuth = 30 * time.Minute

// serveOptions are the settings of `berth serve`; docs/berth.yaml explains each.
type serveOptions struct {
	config     string
	data       string
	key        string
	recovery   []string
	database   string
	http       string
	boot       string
	tftp       string
	interfaces []string
	dhcp       string
	pools      []string
	enrol      bool
	agentURL   string
	bootFiles  string
	console    []string
	cert       string
	certKey    string
	logLevel   string
	// documentLimit is the largest file taken as a document, in MiB.
	documentLimit int64
	upkeepOptions
}

func serveCommand() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: web pages and REST over TLS (--http), files for booting machines (--boot, TFTP), DHCP, and the work on machines.

Without any setting it keeps its state under /var/lib/berth (or ./var where that is not writable), listens for people on port 8443, and
is harmless: it hears DHCP and answers nothing.

Settings come from the command line, then from the environment (BERTH_DATA for --data), then from the file given by --config.

Exit codes: 0 stopped as asked, 1 it cannot go on, 2 a setting is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			path := o.config
			if path == "" {
				path = os.Getenv("BERTH_CONFIG")
			}
			if err := applySettings(c, path); err != nil {
				return err
			}
			return serve(c.Context(), o, c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "configuration file (YAML); its keys are these settings")
	f.StringVar(&o.data, "data", "", "state directory (default /var/lib/berth, or ./var where that is not writable)")
	f.StringVar(&o.key, "key", "", "key file that seals secrets; it is not kept in the state directory (default the state directory's name with .key)")
	f.StringSliceVar(&o.recovery, "recovery", nil, "age recipients (age1…) that can open the secrets as well; used when the key is made")
	f.StringVar(&o.database, "database", "", "postgres://… to use instead of the embedded database")
	f.StringVar(&o.http, "http", ":8443", "address:port for people, REST and agents (TLS)")
	f.StringVar(&o.boot, "boot", ":8081", "address:port for booting machines (plain HTTP)")
	f.StringVar(&o.tftp, "tftp", "", "address:port for TFTP, or off (default port 69 of --boot's address; off without an interface)")
	f.StringSliceVar(&o.interfaces, "interface", nil, "network interfaces on which machines boot")
	f.StringVar(&o.dhcp, "dhcp", "listen", "what to do on those interfaces: server, proxy, listen or off")
	f.StringSliceVar(&o.pools, "pool", nil, "FROM-TO, addresses to lend in mode server")
	f.BoolVar(&o.enrol, "enrol", false, "offer the agent to machines that berth does not know")
	f.StringVar(&o.agentURL, "agent-url", "", "where machines reach --http (default https:// and its address, or the first interface's)")
	f.StringVar(&o.bootFiles, "boot-files", "", "directory with loaders and the agent (default boot beside the program, or /usr/lib/berth/boot)")
	f.StringSliceVar(&o.console, "console", []string{"tty0", "ttyS0,115200n8"}, "kernel consoles of the agent")
	f.StringVar(&o.cert, "tls-cert", "", "certificate chain (PEM) to show instead of the server's own")
	f.StringVar(&o.certKey, "tls-key", "", "key of --tls-cert (PEM)")
	f.Int64Var(&o.documentLimit, "document-limit", blob.DefaultLimit>>20, "largest file that is taken as a document, in MiB")
	o.upkeepOptions.add(f)
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	return c
}

// server is everything that `berth serve` joins.
type server struct {
	serveOptions
	log   *slog.Logger
	out   io.Writer
	store *store.Store
	cert  web.Certificate
	work  *provision.Service
	web   *web.Server

	clock  *claims.Rules
	sender *hook.Sender
	mailer *mail.Server // nil: no mail is sent

	listener net.Listener // for people, programs and agents
	socket   net.Listener // for root and this server's own user
}

func serve(ctx context.Context, o serveOptions, out io.Writer) error {
	level := slog.LevelInfo
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return usageError(fmt.Errorf("--log-level: %w", err), "")
	}
	// What is in the state directory is for this user alone, also in a directory that was made wider before.
	syscall.Umask(0o077)
	s := &server{serveOptions: o, out: out, log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	if err := s.check(); err != nil {
		return err
	}
	if err := s.openRecord(ctx); err != nil {
		return err
	}
	defer s.store.Close()
	if err := s.build(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}

// check judges the settings before anything is opened.
func (s *server) check() error {
	if s.data == "" {
		s.data = defaultData()
	}
	data, err := filepath.Abs(s.data)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	s.data = data
	if s.key == "" {
		s.key = s.data + ".key"
	}
	if _, err := pxe.ParseMode(s.dhcp); err != nil {
		return usageError(fmt.Errorf("--dhcp: %w", err), "")
	}
	for _, p := range s.pools {
		if _, err := pxe.ParseRange(p); err != nil {
			return usageError(fmt.Errorf("--pool: %w", err), "")
		}
	}
	if err := s.checkUpkeep(); err != nil {
		return err
	}
	if s.documentLimit < 1 || s.documentLimit > 100<<10 {
		return usageError(errors.New("--document-limit is from 1 MiB to 102400 MiB (100 GiB)"), "")
	}
	if (s.serveOptions.cert == "") != (s.certKey == "") {
		return usageError(errors.New("--tls-cert and --tls-key go together"), "")
	}
	if s.dhcp == "server" && len(s.interfaces) == 0 {
		return usageError(errors.New("--dhcp server needs an --interface to serve"), "")
	}
	for _, name := range s.interfaces {
		if _, err := net.InterfaceByName(name); err != nil {
			return usageError(fmt.Errorf("--interface %s: there is no such network interface", name), "`ip link` lists them.")
		}
	}
	if s.bootFiles == "" {
		s.bootFiles = defaultBootFiles()
	}
	return nil
}

func defaultData() string {
	const system = "/var/lib/berth"
	if err := os.MkdirAll(system, 0o700); err == nil {
		if probe, err := os.CreateTemp(system, ".probe-"); err == nil {
			probe.Close()
			os.Remove(probe.Name())
			return system
		}
	}
	return "var"
}

// defaultBootFiles looks beside the program first, so that a build tree works as it is.
func defaultBootFiles() string {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "boot")
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	return "/usr/lib/berth/boot"
}

// openRecord opens the database with its key. The key is made only together with a new record: a record whose key is gone must not be
// given another.
func (s *server) openRecord(ctx context.Context) error {
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	key, err := store.LoadKey(s.key)
	if errors.Is(err, os.ErrNotExist) {
		if _, statErr := os.Stat(filepath.Join(s.data, "berth.db")); statErr == nil && s.database == "" {
			return exitError{err: fmt.Errorf("the record in %s has secrets, and its key %s is gone", s.data, s.key), code: exitFailed,
				hint: "Put the key back, or name it with --key. Without it no password in the record can be read."}
		}
		key, err = store.CreateKey(s.key, s.recovery...)
	}
	if err != nil {
		return err
	}
	s.store, err = store.Open(ctx, store.Options{Dir: s.data, DSN: s.database, Sealer: key, Log: s.log, OnChange: notify.Enqueue})
	return err
}

// build constructs the parts in the order in which they need each other.
func (s *server) build(ctx context.Context) error {
	var err error
	if s.listener, err = listenHTTP(s.http); err != nil {
		return err
	}
	if s.cert, err = s.certificate(); err != nil {
		return err
	}
	if s.socket, err = web.ListenSocket(filepath.Join(s.data, "berth.sock")); err != nil {
		return err
	}
	images, err := openImages(filepath.Join(s.data, "images"))
	if err != nil {
		return err
	}
	documents, err := blob.Open(filepath.Join(s.data, "documents"), s.documentLimit<<20)
	if err != nil {
		return err
	}
	agentURL := s.agentAddress()
	s.work = provision.New(provision.Config{
		Ledger: watched(s.store), BMC: &bmc.Pool{Openers: bmcDrivers(), RetryAuth: retryAuth, Log: s.log}, Images: images,
		AgentURL: agentURL, Pin: s.cert.Pin, Certificate: s.cert.PEM, Console: s.console, BootURL: s.bootAddress(),
		Holder: s.holder(), Logger: s.log, Routines: s.newUpkeep(documents).routines(),
	})
	if err := s.seedSubnets(ctx); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.web = &web.Server{Record: s.store, Archive: s.store, Machines: s.work, Agents: s.work, Documents: documents, Rules: s.clock, Certificate: s.cert.TLS, Ready: s.ready, Metrics: registry, Log: s.log, Version: version}
	if agentURL == "" && s.enrol {
		s.log.Warn("machines cannot be enrolled: --http listens on this host only, where they do not reach it; name an address of the boot network, or --agent-url")
	}
	return s.welcome(ctx)
}

// holder names this server on a shared database, the same after a restart.
func (s *server) holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "berth"
	}
	return host + ":" + s.data
}

func listenHTTP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	hint := "Choose another with --http."
	if errors.Is(err, os.ErrPermission) {
		hint = "Ports below 1024 need root or CAP_NET_BIND_SERVICE; choose another with --http."
	}
	return nil, exitError{err: fmt.Errorf("the web address --http %s cannot be opened: %w", address, err), code: exitFailed, hint: hint}
}

func (s *server) certificate() (web.Certificate, error) {
	if s.serveOptions.cert != "" {
		return web.LoadCertificate(s.serveOptions.cert, s.certKey)
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	if ap, err := netip.ParseAddrPort(s.listener.Addr().String()); err == nil && !ap.Addr().IsUnspecified() && !ap.Addr().IsLoopback() {
		names = append(names, ap.Addr().Unmap().String())
	}
	for _, name := range s.interfaces {
		if p, err := firstPrefix(name); err == nil {
			names = append(names, p.Addr().String())
		}
	}
	return web.OwnCertificate(s.data, names, time.Now())
}

// agentAddress is where machines reach the agent API; empty when they cannot.
func (s *server) agentAddress() string {
	if s.agentURL != "" {
		return s.agentURL
	}
	return s.reach("https", s.listener.Addr().String())
}

// bootAddress is where machines reach the boot listener.
func (s *server) bootAddress() string { return s.reach("http", s.boot) }

// reach turns a listening address into one that machines on the first interface can use.
func (s *server) reach(scheme, listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case host != "" && err != nil:
		return scheme + "://" + net.JoinHostPort(host, port)
	case err == nil && !addr.IsUnspecified() && (!addr.IsLoopback() || s.onLoopback()):
		return scheme + "://" + net.JoinHostPort(addr.String(), port)
	case err == nil && addr.IsLoopback():
		return ""
	}
	for _, name := range s.interfaces {
		if p, err := firstPrefix(name); err == nil {
			return scheme + "://" + net.JoinHostPort(p.Addr().String(), port)
		}
	}
	return ""
}

// onLoopback is true for a server whose machines are on this very host.
func (s *server) onLoopback() bool {
	for _, name := range s.interfaces {
		if i, err := net.InterfaceByName(name); err != nil || i.Flags&net.FlagLoopback == 0 {
			return false
		}
	}
	return len(s.interfaces) > 0
}

// firstPrefix is an interface's first IPv4 address with its length.
func firstPrefix(name string) (netip.Prefix, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Prefix{}, err
	}
	list, err := i.Addrs()
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("interface %s: %w", name, errNoAddress)
}

// seedSubnets writes down the subnets that the flags describe, once: afterwards they are records like any other.
func (s *server) seedSubnets(ctx context.Context) error {
	for _, name := range s.interfaces {
		prefix, err := firstPrefix(name)
		if err != nil {
			if s.dhcp == "off" {
				continue
			}
			return usageError(fmt.Errorf("--interface %s: it has no IPv4 address to serve machines from: %w", name, err), "")
		}
		if err := s.seedSubnet(ctx, name, prefix); err != nil {
			return fmt.Errorf("write down the subnet of %s: %w", name, err)
		}
	}
	return nil
}

func (s *server) seedSubnet(ctx context.Context, name string, prefix netip.Prefix) error {
	return s.store.Edit(ctx, inventory.NewRequest(inventory.Berth, "the first run with --interface "+name), func(tx inventory.Tx) error {
		known, err := inventory.TxList[inventory.Subnet](tx, inventory.Query{Filters: []inventory.Filter{inventory.Is("interface", name)}, Limit: 1})
		if err != nil {
			return err
		}
		if len(known) > 0 {
			if known[0].Mode != s.dhcp || known[0].Enrol != s.enrol {
				s.log.Warn("the record rules over the flags; change the subnet there", "subnet", known[0].Name, "mode", known[0].Mode, "enrol", known[0].Enrol)
			}
			return nil
		}
		sub := &inventory.Subnet{Name: name, Prefix: prefix.Masked().String(), Interface: name, Mode: s.dhcp, Enrol: s.enrol}
		for _, p := range s.pools {
			r, err := pxe.ParseRange(p)
			if err == nil && prefix.Contains(r.From) && prefix.Contains(r.To) {
				sub.Pools = append(sub.Pools, p)
			}
		}
		if len(s.pools) > 0 && len(sub.Pools) == 0 && len(s.interfaces) == 1 {
			return usageError(fmt.Errorf("--pool %s does not lie in %s, the network of %s", strings.Join(s.pools, ","), prefix.Masked(), name), "")
		}
		return tx.Create(sub)
	})
}

// welcome prints what a person needs first, and nothing that a log keeps.
func (s *server) welcome(ctx context.Context) error {
	password, err := web.FirstAdmin(ctx, s.store, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "berth %s\nweb pages and REST: https://%s\n", version, s.listener.Addr())
	if s.cert.Own {
		fmt.Fprintf(s.out, "certificate of its own, SHA-256 fingerprint %s\npublic key pin (BERTH_PIN) %s\n", s.cert.Fingerprint, s.cert.Pin)
	}
	if password == "" {
		return nil
	}
	if isTerminal(s.out) {
		fmt.Fprintf(s.out, "first login: admin, password %s (good for one hour; you will be asked for another)\n", password)
		return nil
	}
	path := filepath.Join(s.data, "first-password")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the first password: %w", err)
	}
	fmt.Fprintf(s.out, "first login: admin, password in %s (good for one hour; you will be asked for another)\n", path)
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// ready says what is not ready yet.
func (s *server) ready(ctx context.Context) error {
	select {
	case <-s.work.Book().Ready():
	default:
		return errors.New("the record is being read")
	}
	if err := s.store.Health(ctx); err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", dialable(s.boot))
	if err != nil {
		return fmt.Errorf("the boot listener does not answer: %w", err)
	}
	return conn.Close()
}

// dialable turns a listening address into one that can be called from here.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if a, perr := netip.ParseAddr(host); err == nil && (host == "" || perr == nil && a.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// run starts the servers in one group: the first that fails ends them all.
func (s *server) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.web.Serve(ctx, s.listener) })
	group.Go(func() error { return s.web.ServeSocket(ctx, s.socket) })
	group.Go(func() error { return s.work.Serve(ctx) })
	group.Go(func() error { return text.WatchDrift(ctx, s.store, s.log) })
	group.Go(func() error { return giveBack(ctx) })
	group.Go(func() error { return s.serveBoot(ctx) })
	err := group.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serveBoot answers machines, once the record has been read: a server that knows nobody would call every machine unknown.
func (s *server) serveBoot(ctx context.Context) error {
	select {
	case <-s.work.Book().Ready():
	case <-ctx.Done():
		return nil
	}
	journal, err := lease.OpenLog(filepath.Join(s.data, "leases.log"))
	if err != nil {
		return err
	}
	book := s.work.Book()
	leases, err := lease.New(journal, lease.Options{Reserved: book.Reserved, Log: s.log})
	if err != nil {
		return err
	}
	defer leases.Close()
	if leases.Recovery().Damaged {
		s.log.Error("the lease log is damaged; for a while addresses are given only to clients that ask for them")
	}
	group, ctx := errgroup.WithContext(ctx)
	boot := &httpboot.Server{Book: book, Tickets: s.work, Loaders: loaders(s.bootFiles), Agent: agents(s.bootFiles), Blobs: imageBlobs(filepath.Join(s.data, "images")),
		Owner: leases.Owner, Addr: s.boot, Log: s.log}
	group.Go(func() error { return boot.Serve(ctx) })
	if addr := s.tftpAddress(); addr != "" {
		files := &tftp.Server{Files: tftp.Paths(loaderPaths(s.bootFiles)), Addr: addr, Note: book.Note, Owner: ownerOf(leases), Log: s.log}
		group.Go(func() error { return files.Serve(ctx) })
	}
	if len(s.interfaces) > 0 && s.dhcp != "off" {
		wire := &dhcp.Server{Book: book, Leases: leases, Interfaces: s.interfaces, Log: s.log}
		group.Go(func() error { return wire.Serve(ctx) })
	}
	return group.Wait()
}

// ownerOf knows who holds an address by a lease of ours, and else by what the kernel sees on the wire, where another server lends them.
func ownerOf(leases *lease.Table) func(netip.Addr) (string, bool) {
	return func(a netip.Addr) (string, bool) {
		if key, ok := leases.Owner(a); ok {
			return key, true
		}
		mac, ok := httpboot.KernelNeighbour(a)
		return mac.String(), ok
	}
}

// tftpAddress is empty when TFTP is off.
func (s *server) tftpAddress() string {
	switch {
	case s.tftp == "off", s.tftp == "" && len(s.interfaces) == 0:
		return ""
	case s.tftp != "":
		return s.tftp
	}
	host, _, err := net.SplitHostPort(s.boot)
	if err != nil {
		return ":69"
	}
	return net.JoinHostPort(host, "69")
}
