package room

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"filippo.io/age"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/operation"
)

// Recipients says who can open backups: age recipients for the room, and for
// each Kasse that wants its own. A Kasse without a set uses the room's; without
// that, backups are not sealed.
type Recipients struct {
	Room   []string                       `json:"room,omitempty"`
	Kassen map[catalogue.KasseID][]string `json:"kassen,omitempty"`
}

const recipientsSetting = "recipients"

// of gives the recipients of one Kasse's files; "" is the room.
func (s Recipients) of(k catalogue.KasseID) ([]age.Recipient, error) {
	if own := s.Kassen[k]; k != "" && len(own) > 0 {
		return ParseRecipients(own)
	}
	return ParseRecipients(s.Room)
}

func (s Recipients) check(c *catalogue.Catalogue) error {
	if _, err := ParseRecipients(s.Room); err != nil {
		return err
	}
	for k, lines := range s.Kassen {
		if _, ok := c.Kasse(k); !ok {
			return fmt.Errorf("recipients of Kasse %q: no such Kasse in this room", k)
		}
		if _, err := ParseRecipients(lines); err != nil {
			return fmt.Errorf("recipients of Kasse %s: %w", k, err)
		}
	}
	if len(s.Kassen) > 0 && len(s.Room) == 0 {
		return fmt.Errorf("recipients of the room itself are needed as soon as a Kasse has its own: its keys would lie open beside them")
	}
	return nil
}

func recipients(ctx context.Context, r *Room, _ none) (Recipients, error) {
	var s Recipients
	return s, setting(ctx, r.Store, recipientsSetting, &s)
}

type recipientsArgs struct {
	Recipients
	Reason string `json:"reason"`
}

// askRecipients is the kind of consent to who can open backups.
const askRecipients = "recipients"

// setRecipients asks a second person to agree to who can open backups from now on.
func setRecipients(ctx context.Context, r *Room, as access.Person, a recipientsArgs) (access.Consent, error) {
	if err := mayKeep(as); err != nil {
		return access.Consent{}, err
	}
	if err := a.check(r.Catalogue); err != nil {
		return access.Consent{}, err
	}
	return ask(ctx, r, as, access.Question{
		Kind: askRecipients, Payload: a, Shown: a.Recipients,
		Summary: fmt.Sprintf("Wer Sicherungen öffnen kann: %d Empfänger für den Raum, %d Kassen mit eigenen", len(a.Room), len(a.Kassen)),
	})
}

func approveRecipients(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error) {
	if err := mayKeep(first, second); err != nil {
		return Outcome{}, err
	}
	var a recipientsArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return a.Recipients, nil }); err != nil {
			return out, err
		}
		row, err := putSetting(ctx, tx, recipientsSetting, a.Recipients)
		if err != nil {
			return out, err
		}
		out.Done = a.Recipients
		_, err = ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: first.ID, Kind: "recipients.set", Subject: "backup", Reason: a.Reason, Data: map[string]string{"second": second.ID}, Rows: []ledger.Row{row},
		})
		return out, err
	})
}

// mayKeep says who looks after copies, keys and machines.
func mayKeep(people ...access.Person) error {
	for _, p := range people {
		if !p.Has(access.CrisisLead) && !p.Has(access.Operator) {
			return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Sicherungen, Schlüssel und Übernahmen entscheiden der Betrieb oder die Leitung des Stabs."}
		}
	}
	return nil
}
