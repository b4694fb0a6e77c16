package room_test

import (
	"errors"
	"testing"

	"leitstand/access"
	"leitstand/room"
)

func TestAPersonAgreesOverTheTelephoneToExactlyWhatWasShown(t *testing.T) {
	r, _ := practiceRoom(t)
	sheet, err := room.Do[access.Sheet](t.Context(), r, "lead", "code.issue", nil)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := identity(t)
	ask := func() access.Consent {
		c, err := room.Do[access.Consent](t.Context(), r, "operator", "backup.seal-to", map[string]any{"room": []string{id.Recipient().String()}, "reason": "x"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, two := ask(), ask()
	asked, err := room.Do[access.CodeAsked](t.Context(), r, "operator", "code.ask", map[string]string{"id": one.ID, "person": "lead"})
	if err != nil {
		t.Fatal(err)
	}
	code := sheet.Codes[asked.Number-1]
	redeem := func(consent string) error {
		_, err := room.Do[room.Outcome](t.Context(), r, "operator", "code.approve", map[string]string{"id": consent, "person": "lead", "code": code})
		return err
	}
	if err := redeem(two.ID); !errors.Is(err, access.ErrWrongCode) {
		t.Errorf("for another request: %v", err)
	}
	if err := redeem(one.ID); err != nil {
		t.Errorf("the right code: %v", err)
	}
	if err := redeem(one.ID); err == nil {
		t.Error("a code was used twice")
	}
	c, err := room.Do[access.Consent](t.Context(), r, "", "consent.show", map[string]string{"id": one.ID})
	if err != nil || c.State != access.Given || c.DecidedBy != "lead" {
		t.Errorf("%+v %v", c, err)
	}
	verifyAll(t, r)
}
