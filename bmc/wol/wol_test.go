package wol_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"berth/bmc"
	"berth/bmc/wol"
)

var mac = net.HardwareAddr{0x52, 0x54, 0, 0x77, 0, 1}

func TestPacket(t *testing.T) {
	plain := "ffffffffffff" + strings.Repeat("525400770001", 16)
	for _, c := range []struct {
		mac      net.HardwareAddr
		password []byte
		want     string
	}{
		{mac, nil, plain},
		{mac, []byte{1, 2, 3, 4, 5, 6}, plain + "010203040506"},
		{mac, []byte{1, 2, 3, 4}, ""},
		{nil, nil, ""},
		{make([]byte, 20), nil, ""}, // InfiniBand
	} {
		got, err := wol.Packet(c.mac, c.password)
		if hex.EncodeToString(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v %v: %x, %v", c.mac, c.password, got, err)
		}
	}
}

// TestBroadcast sends to the broadcast address of the loopback network and listens.
func TestBroadcast(t *testing.T) {
	listener, err := net.ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.LocalAddr().String())
	ctx := context.Background()
	d, err := wol.Open(ctx, bmc.Target{Kind: bmc.KindWOL, Address: "127.255.255.255:" + port, MAC: mac, Password: bmc.NewSecret("01:02:03:04:05:06")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(ctx)
	if _, err := (bmc.Commands{}).Power(ctx, d, bmc.ActionOn); !errors.Is(err, bmc.ErrUnconfirmed) {
		t.Fatalf("%v, want ErrUnconfirmed: nobody can know", err)
	}
	want, _ := wol.Packet(mac, []byte{1, 2, 3, 4, 5, 6})
	if err := listener.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		buf := make([]byte, 200)
		n, _, err := listener.ReadFrom(buf)
		if err != nil || !bytes.Equal(buf[:n], want) {
			t.Fatalf("copy %d: %x, %v", i, buf[:n], err)
		}
	}
}

func TestItSaysWhatItCannotDo(t *testing.T) {
	ctx := context.Background()
	d, err := wol.Open(ctx, bmc.Target{Address: "127.255.255.255", MAC: mac})
	if err != nil {
		t.Fatal(err)
	}
	_, power := d.Power(ctx)
	_, boot := d.Boot(ctx)
	_, inventory := d.Inventory(ctx)
	for what, err := range map[string]error{
		"power": power, "boot": boot, "inventory": inventory, "set boot": d.SetBoot(ctx, bmc.Once(bmc.BootPXE, "")),
		"off": d.SetPower(ctx, bmc.ActionOff), "cycle": d.SetPower(ctx, bmc.ActionCycle),
	} {
		if !errors.Is(err, bmc.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", what, err)
		}
	}
	commands := bmc.Commands{}
	if _, err := commands.Power(ctx, d, bmc.ActionCycle); !errors.Is(err, bmc.ErrUnsupported) || errors.Is(err, bmc.ErrUnconfirmed) {
		t.Errorf("a cycle: %v", err)
	}
}

func TestBadTargets(t *testing.T) {
	for _, target := range []bmc.Target{
		{Address: "", MAC: mac}, {Address: "10.0.0.255"}, {Address: "10.0.0.255", MAC: mac, Password: bmc.NewSecret("c4n4ry")},
		{Address: "10.0.0.255", MAC: mac, Password: bmc.NewSecret("0102")},
	} {
		_, err := wol.Open(context.Background(), target)
		if !errors.Is(err, bmc.ErrRefused) || strings.Contains(fmt.Sprint(err), "c4n4ry") {
			t.Errorf("%s: %v, want ErrRefused without the password", target, err)
		}
	}
}

func TestCancelEndsTheSending(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	d, err := wol.Open(ctx, bmc.Target{Address: "127.255.255.255", MAC: mac})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := d.SetPower(ctx, bmc.ActionOn); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}
