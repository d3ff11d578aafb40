package provision_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"berth/api"
	"berth/inventory"
)

// A URL that a person chooses reaches nothing near: not by its address, not by a name, not by another spelling.
func TestImagesAreNotFetchedFromNearby(t *testing.T) {
	r := newRig(t)
	hit := make(chan struct{}, 10)
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit <- struct{}{} }))
	defer trap.Close()
	port := trap.URL[strings.LastIndex(trap.URL, ":"):]
	digest := "sha256:" + strings.Repeat("ab", 32)
	for _, url := range []string{trap.URL, "http://localhost" + port, "http://localhost." + port, "http://[::1]" + port, "http://[::ffff:127.0.0.1]" + port, "http://0.0.0.0" + port,
		"http://169.254.169.254/latest", "http://[fe80::1]/", "http://[64:ff9b::7f00:1]" + port, "file:///etc/shadow", "ftp://example.org/x", "http://user:secret@example.org/x", "http:///x", "nonsense"} {
		var invalid *inventory.Invalid
		if _, err := r.service.ImportURL(ctx, admin(), api.ImportRequest{Name: "x", URL: url, Digest: digest}); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", url, err)
		}
	}
	// A name is judged when it has been resolved: 127.1 is an address to a resolver only.
	op, err := r.service.ImportURL(ctx, admin(), api.ImportRequest{Name: "by-name", URL: "http://127.1" + port + "/x", Digest: digest})
	if err == nil {
		r.eventually("the import is tried", func() bool { return r.step(op.UID, "fetch").Problem != "" || r.operation(op.UID).State.Ended() })
		if _, err := r.service.Cancel(ctx, admin(), string(op.UID)); err != nil {
			t.Fatal(err)
		}
		r.eventually("the import ends", func() bool { return r.operation(op.UID).State.Ended() })
		img, err := inventory.Get[inventory.Image](ctx, r.store, "by-name")
		if err != nil || img.State != "failed" {
			t.Errorf("the entry: %+v, %v", img, err)
		}
	}
	if len(hit) > 0 {
		t.Error("this host was asked")
	}
	operator := inventory.NewRequest(inventory.Actor{Name: "otto", Level: inventory.LevelOperator}, "")
	if _, err := r.service.ImportURL(ctx, operator, api.ImportRequest{Name: "y", URL: "https://example.org/x"}); err == nil {
		t.Error("an operator imported without a digest")
	}
}

// An upload that dies with the server does not stay "importing": its entry fails, and its name may be used again. So does a broken upload.
func TestImportsThatAreCutShort(t *testing.T) {
	r := newRig(t)
	err := r.store.Edit(ctx, admin(), func(tx inventory.Tx) error {
		return tx.Create(&inventory.Image{Name: "half", State: "importing", Source: "upload by anna"})
	})
	if err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	img, err := inventory.Get[inventory.Image](ctx, r.store, "half")
	if err != nil || img.State != "failed" || !strings.Contains(img.Problem, "import it again") {
		t.Fatalf("after the restart: %+v, %v", img, err)
	}
	if _, err := r.service.ImportImage(ctx, admin(), api.ImportRequest{Name: "half"}, io.MultiReader(strings.NewReader("x"), broken{})); err == nil {
		t.Error("a broken upload was taken")
	}
	if img, err = inventory.Get[inventory.Image](ctx, r.store, "half"); err != nil || img.State != "failed" || img.Problem != "the line is dead" {
		t.Errorf("after a broken upload: %+v, %v", img, err)
	}
	if img, err = r.service.ImportImage(ctx, admin(), api.ImportRequest{Name: "half"}, strings.NewReader("whole")); err != nil || img.State != "ready" {
		t.Errorf("once more: %+v, %v", img, err)
	}
	var conflict *inventory.Conflict
	if _, err := r.service.ImportImage(ctx, admin(), api.ImportRequest{Name: "half"}, strings.NewReader("whole")); !errors.As(err, &conflict) {
		t.Errorf("the name of a good image was taken: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the line is dead") }
