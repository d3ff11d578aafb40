package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"berth/api"
)

// The files of the server's own certificate, under its directory.
const (
	certificateFile = "server.crt"
	keyFile         = "server.key"
	// ownLife is long because agents and clients pin the key, not the date.
	ownLife = 10 * 365 * 24 * time.Hour
)

// Certificate is what the server shows, and what others know it by.
type Certificate struct {
	TLS tls.Certificate
	// PEM is the chain, for systems that must trust this server and nothing else.
	PEM string
	// Pin is the SHA-256 of the public key (SubjectPublicKeyInfo) in lower-case hexadecimal: what agents and BERTH_PIN hold.
	Pin string
	// Fingerprint is the SHA-256 of the certificate as browsers print it, AA:BB:….
	Fingerprint string
	// Own is true for the one berth made for itself.
	Own bool
}

// OwnCertificate loads the certificate under dir, or makes one for names (host names and addresses) at the first run: ECDSA P-256,
// files of mode 0600. The key stays the same when the certificate is renewed, so pins hold.
func OwnCertificate(dir string, names []string, now time.Time) (Certificate, error) {
	certPath, keyPath := filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile)
	c, err := LoadCertificate(certPath, keyPath)
	if err == nil && now.Add(30*24*time.Hour).Before(c.TLS.Leaf.NotAfter) {
		c.Own = true
		return c, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Certificate{}, err
	}
	key, err := ownKey(keyPath)
	if err != nil {
		return Certificate{}, err
	}
	der, err := selfSign(key, names, now)
	if err != nil {
		return Certificate{}, fmt.Errorf("make the server's certificate: %w", err)
	}
	if err := writePEM(certPath, "CERTIFICATE", der); err != nil {
		return Certificate{}, fmt.Errorf("keep the server's certificate: %w", err)
	}
	c, err = LoadCertificate(certPath, keyPath)
	c.Own = true
	return c, err
}

// LoadCertificate reads a certificate chain and its key from PEM files.
func LoadCertificate(certPath, keyPath string) (Certificate, error) {
	chain, err := os.ReadFile(certPath)
	if err != nil {
		return Certificate{}, fmt.Errorf("read the server's certificate: %w", err)
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return Certificate{}, fmt.Errorf("read the key of the server's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return Certificate{}, fmt.Errorf("the certificate %s and the key %s do not make a pair: %w", certPath, keyPath, err)
	}
	return Certificate{TLS: pair, PEM: string(chain), Pin: api.PinOf(pair.Leaf), Fingerprint: fingerprint(pair.Leaf)}, nil
}

// ownKey reads the key, or makes it. A key file that is there and cannot be read is an error, never a reason for a new key.
func ownKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the server's key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("read the server's key: %s is not PEM; if it is lost for good, delete it and the server makes another", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read the server's key %s: %w", path, err)
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read the server's key %s: it is a %T; give it and its certificate by their own settings", path, key)
	}
	return own, nil
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	if err := writePEM(path, "PRIVATE KEY", der); err != nil {
		return nil, fmt.Errorf("keep the server's key: %w", err)
	}
	return key, nil
}

func selfSign(key *ecdsa.PrivateKey, names []string, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "berth"},
		// A machine whose clock is a day behind must still be able to speak to us.
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(ownLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		DNSNames: []string{api.AgentServerName},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if name != "" {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// writePEM writes a file nobody else may read, whole or not at all.
func writePEM(path, kind string, der []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = errors.Join(pem.Encode(tmp, &pem.Block{Type: kind, Bytes: der}), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	var pairs []string
	for i := 0; i < len(text); i += 2 {
		pairs = append(pairs, text[i:i+2])
	}
	return strings.Join(pairs, ":")
}
