package room_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/channel"
	"leitstand/recovery"
	"leitstand/room"
)

// TestACellGoesBackByStick walks the protocol over a channel on which every
// answer takes a journey.
func TestACellGoesBackByStick(t *testing.T) {
	b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
	keys := do[room.HandoverKeys](t, b.Room, "", "handover.keys", struct{}{})
	again := do[room.HandoverKeys](t, b.Room, "", "handover.keys", struct{}{})
	if keys != again {
		t.Error("the keys change")
	}
	us, err := age.ParseX25519Recipient(keys.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := base64.StdEncoding.DecodeString(keys.Signer)
	if err != nil {
		t.Fatal(err)
	}
	them, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stick := t.TempDir()
	desk := channel.Desk{
		Receiver: &emergency.Receiver{Name: "Regelsystem", Key: private, Receiving: b.regular},
		Carrier:  &channel.Stick{Dir: stick, Out: channel.FromRegular, In: channel.ToRegular},
		Keys:     channel.Keys{Own: them, Other: us, Sign: private, Peer: signer},
	}
	config := room.RegularConfig{Placement: b.place, Key: public, Channel: room.ByStick, Stick: stick, Recipient: them.Recipient().String()}
	if err := b.Connect(room.Connections{Regular: []room.RegularConfig{config}}, nil); err != nil {
		t.Fatal(err)
	}
	id := map[string]any{"id": b.announce(t).ID}
	b.now = b.now.Add(2 * time.Minute)
	clearAll(t, b.Room, []string{string(b.place)})
	do[any](t, b.Room, "operator", "handover.readonly", id)
	d := do[room.Drained](t, b.Room, "operator", "handover.drain", id)
	if d.Protocol.Stage != recovery.StageReadOnly || !strings.Contains(d.Runs[0].Error, emergency.ErrPending.Error()) {
		t.Errorf("before the stick is read: %+v", d)
	}
	journey := func() {
		t.Helper()
		if _, err := desk.Due(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(2 * time.Minute)
	}
	journey()
	if d = do[room.Drained](t, b.Room, "operator", "handover.drain", id); d.Protocol.Stage != recovery.StageDrained {
		t.Errorf("drained: %+v", d)
	}
	if c := do[room.CellComparison](t, b.Room, "operator", "handover.compare", id); c.Agrees || len(c.Errors) != 1 {
		t.Errorf("compared before the stick is read: %+v", c)
	}
	journey()
	if c := do[room.CellComparison](t, b.Room, "operator", "handover.compare", id); !c.Agrees {
		t.Errorf("compared: %+v", c)
	}
	do[any](t, b.Room, "operator", "handover.sign", id)
	if s := do[room.Signed](t, b.Room, b.delegate, "handover.sign", id); !s.Done || len(b.regular.have) != 3 {
		t.Errorf("%+v, %d items", s, len(b.regular.have))
	}
	b.clean(t)
}

func TestAnExerciseRoomHandsOverToLoopbackOnly(t *testing.T) {
	for _, config := range []room.RegularConfig{
		{URL: "http://192.0.2.1:9/x"},
		{URL: "http://regelsystem.example/x"},
		{Channel: room.BySFTP, SFTP: &room.SFTPConfig{Address: "192.0.2.1:22"}},
		{Channel: room.ByKIM, KIM: &room.KIMConfig{From: "a@b", To: "c@d", SMTP: "192.0.2.1:25", POP3: "192.0.2.1:110"}},
		{Channel: "brieftaube"},
	} {
		b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
		them, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		config.Placement, config.Recipient, config.Key = b.place, them.Recipient().String(), make(ed25519.PublicKey, ed25519.PublicKeySize)
		if config.SFTP != nil {
			config.SFTP.KeyFile, config.SFTP.HostKeys = sshKey(t)
		}
		if err := b.Connect(room.Connections{Regular: []room.RegularConfig{config}}, nil); err != nil {
			t.Fatal(err)
		}
		clearAll(t, b.Room, []string{string(b.place)})
		do[room.Changed](t, b.Room, "operator", "handover.begin", map[string]any{"placements": []catalogue.PlacementID{b.place}, "reason": "x"})
		h := do[[]room.HandedOver](t, b.Room, "operator", "handover.run", struct{}{})
		want := room.ErrExercise.Error()
		if config.Channel == "brieftaube" {
			want = "none of https, sftp, stick, kim"
		}
		if len(h) != 1 || !strings.Contains(h[0].Error, want) {
			t.Errorf("%+v: %+v", config, h)
		}
	}
}
