package ipmi

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"hash"
)

// suite is a cipher suite (table 22-20). Only the two that encrypt, sign and prove the password are spoken: 17 (SHA-256)
// and 3 (SHA-1, all that older BMCs have). Suite 0, which asks for no password at all, is looked for by Audit and never used.
type suite struct {
	id                          byte
	auth, integrity, encryption byte
	hash                        func() hash.Hash
	signature                   int // bytes kept of it
}

var (
	suite17 = suite{17, 0x03, 0x04, 0x01, sha256.New, 16}
	suite3  = suite{3, 0x01, 0x01, 0x01, sha1.New, 12}
)

// sum is HMAC over the parts.
func (s suite) sum(key []byte, parts ...[]byte) []byte {
	h := hmac.New(s.hash, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// sealed is the state of an active session's protection.
type sealed struct {
	suite
	sign []byte // K1 (13.32)
	key  []byte // the first 16 bytes of K2
}

// derive makes the two keys from the session integrity key: HMACs of twenty ones and twenty twos.
func (s suite) derive(sik []byte) sealed {
	constant := func(b byte) []byte {
		c := make([]byte, 20)
		for i := range c {
			c[i] = b
		}
		return c
	}
	return sealed{suite: s, sign: s.sum(sik, constant(1)), key: s.sum(sik, constant(2))[:16]}
}

// seal encrypts a message and signs its packet (13.28.4, 13.29).
func (k sealed) seal(session, sequence uint32, message []byte) ([]byte, error) {
	payload, err := k.encrypt(message)
	if err != nil {
		return nil, err
	}
	p := append(plus{kind: payloadIPMI | payloadEncrypted | payloadAuthenticated, session: session, sequence: sequence, payload: payload}.header(), payload...)
	// Pad so that everything signed, which starts behind the RMCP header, is a multiple of four with the two bytes that follow.
	pad := (4 - (len(p)-4+2)%4) % 4
	for range pad {
		p = append(p, 0xff)
	}
	p = append(p, byte(pad), classIPMI)
	return append(p, k.sum(k.sign, p[4:])[:k.signature]...), nil
}

// errForged is a packet that somebody else wrote, or that was damaged on the way.
var errForged = errors.New("a packet with a wrong signature")

// open checks the signature and only then decrypts.
func (k sealed) open(p plus) ([]byte, error) {
	if p.kind&payloadAuthenticated == 0 || p.kind&payloadEncrypted == 0 {
		return nil, errForged
	}
	if len(p.trailer) < 2+k.signature || len(p.signed) < k.signature {
		return nil, errShort
	}
	split := len(p.signed) - k.signature
	if !hmac.Equal(k.sum(k.sign, p.signed[:split])[:k.signature], p.signed[split:]) {
		return nil, errForged
	}
	return k.decrypt(p.payload)
}

// encrypt is AES-CBC-128 with the pad 1, 2, 3 ... and its length (13.29.2).
func (k sealed) encrypt(message []byte) ([]byte, error) {
	block, err := aes.NewCipher(k.key)
	if err != nil {
		return nil, err
	}
	pad := (aes.BlockSize - (len(message)+1)%aes.BlockSize) % aes.BlockSize
	clear := append([]byte(nil), message...)
	for i := range pad {
		clear = append(clear, byte(i+1))
	}
	clear = append(clear, byte(pad))
	out := make([]byte, aes.BlockSize+len(clear))
	if _, err := rand.Read(out[:aes.BlockSize]); err != nil {
		return nil, err
	}
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], clear)
	return out, nil
}

func (k sealed) decrypt(payload []byte) ([]byte, error) {
	if len(payload) < 2*aes.BlockSize || len(payload)%aes.BlockSize != 0 {
		return nil, errShort
	}
	block, err := aes.NewCipher(k.key)
	if err != nil {
		return nil, err
	}
	clear := make([]byte, len(payload)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, payload[:aes.BlockSize]).CryptBlocks(clear, payload[aes.BlockSize:])
	pad := int(clear[len(clear)-1])
	if pad+1 > len(clear) || pad >= aes.BlockSize {
		return nil, errors.New("a payload with a wrong pad")
	}
	return clear[:len(clear)-1-pad], nil
}
