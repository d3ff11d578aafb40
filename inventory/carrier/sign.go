package carrier

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// shippoPatience is how old a message of Shippo's may be, by the time that it is signed with: an old one that somebody kept is not taken
// again. It allows for hours, because senders try again after a failure with the first message's signature.
const shippoPatience = 24 * time.Hour

// Signed tells whether a message of a source of this kind was signed with secret. All comparisons take the same time whatever they find.
// No secret signs nothing.
//
// EasyPost sends X-Hmac-Signature: hmac-sha256-hex= and the HMAC-SHA256 of the body in hexadecimal, its key being the secret in Unicode's
// form NFKD. AfterShip sends Aftership-Hmac-Sha256 with the HMAC-SHA256 in base64. Shippo sends Shippo-Auth-Signature: t=seconds,v1=
// and the HMAC-SHA256 of "seconds.body" in hexadecimal; accounts without that put the secret into the address, as ?token=, which is
// handed in as token.
func Signed(kind string, header http.Header, token string, body []byte, secret string, now time.Time) bool {
	if secret == "" {
		return false
	}
	switch kind {
	case "easypost":
		given, ok := strings.CutPrefix(header.Get("X-Hmac-Signature"), "hmac-sha256-hex=")
		return ok && equalHex(given, sum(norm.NFKD.String(secret), body))
	case "aftership":
		given, err := base64.StdEncoding.DecodeString(header.Get("Aftership-Hmac-Sha256"))
		return err == nil && hmac.Equal(given, sum(secret, body))
	case "shippo":
		if signature := header.Get("Shippo-Auth-Signature"); signature != "" {
			return signedByShippo(signature, body, secret, now)
		}
		// Both are hashed, so that not even the length of the secret is told by the time that it takes.
		return token != "" && hmac.Equal(sum("token", []byte(token)), sum("token", []byte(secret)))
	}
	return false
}

func signedByShippo(signature string, body []byte, secret string, now time.Time) bool {
	var stamp, given string
	for part := range strings.SplitSeq(signature, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			stamp = value
		case "v1":
			given = value
		}
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > shippoPatience {
		return false
	}
	return equalHex(given, sum(secret, append([]byte(stamp+"."), body...)))
}

func sum(key string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body) // never fails
	return mac.Sum(nil)
}

func equalHex(given string, want []byte) bool {
	b, err := hex.DecodeString(given)
	return err == nil && hmac.Equal(b, want)
}
