package redfish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/stmcginnis/gofish/common"

	"berth/bmc"
)

// Limits on the shape of a tree.
const (
	maxMembers = 1024 // of one collection
	maxPages   = 32   // of one collection, by Members@odata.nextLink
)

// notFound is a link that leads nowhere. In a tree it is common, and only a gap; a BMC that is starting answers so about
// everything, so it is worth a retry, as bmc.ErrMalformed is.
type notFound struct{}

func (notFound) Error() string { return "no such resource" }

func (notFound) Is(target error) bool { return target == bmc.ErrMalformed }

var errNotFound error = notFound{}

// missing is what errNotFound means for a write: the BMC has no such command.
func missing(err error) error {
	if errors.Is(err, errNotFound) {
		return fmt.Errorf("%w: %v", bmc.ErrUnsupported, err)
	}
	return err
}

// get reads one resource.
func (d *driver) get(path string) (node, error) {
	n, _, err := d.getTagged(path)
	return n, err
}

// getTagged reads one resource and the tag of its version.
func (d *driver) getTagged(path string) (node, string, error) {
	if err := checkPath(path); err != nil {
		return nil, "", err
	}
	resp, err := d.api.Get(path)
	if err != nil {
		return nil, "", d.explain("read "+path, err)
	}
	n, err := decode(resp.Body)
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	tag := resp.Header.Get("ETag")
	if tag == "" {
		tag, _ = n["@odata.etag"].(string)
	}
	return n, tag, nil
}

// checkPath keeps requests within the tree. The wire makes sure of the host as well.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/redfish/") || strings.Contains(path, "..") || len(path) > 1024 {
		return fmt.Errorf("%w: a link to %q", bmc.ErrMalformed, clip(path, 80))
	}
	for _, r := range path {
		if r <= ' ' || r == 0x7f {
			return fmt.Errorf("%w: a link to %q", bmc.ErrMalformed, clip(path, 80))
		}
	}
	return nil
}

// members lists the paths of a collection, page by page, each once.
func (d *driver) members(path string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	pages := map[string]bool{}
	for page := path; page != "" && len(pages) < maxPages && !pages[page]; {
		pages[page] = true
		n, err := d.get(page)
		if err != nil {
			return out, err
		}
		for _, m := range n.links("Members") {
			// A collection that contains itself is one that some BMC's code generator closed in a circle.
			if key := strings.TrimRight(m, "/"); !seen[key] && !same(m, path) {
				seen[key] = true
				out = append(out, m)
			}
		}
		if len(out) > maxMembers {
			return out[:maxMembers], fmt.Errorf("%w: %s has more than %d members", bmc.ErrMalformed, path, maxMembers)
		}
		page, _ = n["Members@odata.nextLink"].(string)
	}
	return out, nil
}

// explain turns what gofish returns into the errors of the contract.
func (d *driver) explain(what string, err error) error {
	var answer *common.Error
	if !errors.As(err, &answer) {
		return explainTransport(what, err)
	}
	says := d.redact(message(answer))
	switch code := answer.HTTPReturnedStatusCode; {
	case code == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w%s", what, bmc.ErrAuth, says)
	case code == http.StatusForbidden:
		return fmt.Errorf("%s: %w%s", what, bmc.ErrDenied, says)
	case code == http.StatusNotFound || code == http.StatusGone:
		return fmt.Errorf("%s: %w", what, errNotFound)
	case code == http.StatusMethodNotAllowed || code == http.StatusNotImplemented:
		return fmt.Errorf("%s: %w%s", what, bmc.ErrUnsupported, says)
	case code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests:
		return fmt.Errorf("%s: %w%s", what, bmc.ErrBusy, says)
	case code >= 500:
		return fmt.Errorf("%s: %w (%d)%s", what, bmc.ErrInternal, code, says)
	case code >= 400:
		return fmt.Errorf("%s: %w (%d)%s", what, bmc.ErrRefused, code, says)
	case code >= 300:
		return fmt.Errorf("%s: %w: it redirects (%d)", what, bmc.ErrMalformed, code)
	}
	return fmt.Errorf("%s: %w%s", what, bmc.ErrMalformed, says)
}

func explainTransport(what string, err error) error {
	for _, known := range []error{bmc.ErrUnreachable, bmc.ErrMalformed, bmc.ErrUntrusted, bmc.ErrCertificateChanged} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: %w: %w", what, bmc.ErrMalformed, err)
	}
	return fmt.Errorf("%s: %w: %w", what, bmc.ErrUnreachable, err)
}

// message is the BMC's own sentence about an error, short, on one line. The whole answer is never repeated: it is as long
// as the BMC likes.
func message(e *common.Error) string {
	says := e.Message
	if len(e.ExtendedInfos) > 0 && e.ExtendedInfos[0].Message != "" {
		says = e.ExtendedInfos[0].Message
	}
	says = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, clip(says, 200)))
	if says == "" || strings.HasPrefix(says, "<") || strings.HasPrefix(says, "{") {
		return ""
	}
	return ": " + says
}

// redact takes the password out of a BMC's sentence: "The value 'hunter2' for the property Password is not valid".
func (d *driver) redact(says string) string {
	for _, secret := range d.secrets {
		if !secret.IsZero() {
			says = strings.ReplaceAll(says, secret.Reveal(), "***")
		}
	}
	return says
}
