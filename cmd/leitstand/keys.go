package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"leitstand/catalogue"
	"leitstand/room"
)

type keysCmd struct {
	Status     keysStatusCmd     `cmd:"" help:"Whether the room is locked, and what works while it is."`
	Unlock     keysUnlockCmd     `cmd:"" help:"Unlock a room that is served locked."`
	Lock       keysLockCmd       `cmd:"" help:"Forget all keys; accepting goes on."`
	Escrow     keysEscrowCmd     `cmd:"" help:"Print shares on paper that bring every key of the room back."`
	Recover    keysRecoverCmd    `cmd:"" help:"Bring lost keys back from an escrow and its shares; the room must not be served."`
	Rotate     keysRotateCmd     `cmd:"" help:"Ask a second person to agree to a new key pair of one Kasse."`
	RotateRoom keysRotateRoomCmd `cmd:"" help:"New master key and passphrase of the room; it must not be served. Repeat after an interruption."`
	Share      keysShareCmd      `cmd:"" help:"Share the room's key: from now on several people open it together, no passphrase alone does."`
	Single     keysSingleCmd     `cmd:"" help:"Go back to one passphrase for the room."`
	Ledger     keysLedgerCmd     `cmd:"" name:"rotate-ledger" help:"New key for the heads of all ledgers; the old one signs for it. The room must not be served."`
	Recipients recipientsCmd     `cmd:"" help:"Who can open backups and the continuous copy."`
}

type recipientsCmd struct {
	List recipientsListCmd `cmd:"" help:"The age recipients of the room and of each Kasse with its own."`
	Set  recipientsSetCmd  `cmd:"" help:"Ask a second person to agree to who can open backups from now on."`
}

type recipientsListCmd struct{ roomFlags }

// Run prints the recipients.
func (c *recipientsListCmd) Run(a *app) error {
	return c.act(a, "", "backup.recipients", nil, func(raw json.RawMessage) error {
		var s room.Recipients
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		if len(s.Room) == 0 {
			fmt.Fprintln(a.stdout, "Sicherungen werden nicht versiegelt: niemand ist als Empfänger genannt.")
			return nil
		}
		fmt.Fprintf(a.stdout, "Raum: %s\n", strings.Join(s.Room, " "))
		for _, k := range slices.Sorted(maps.Keys(s.Kassen)) {
			fmt.Fprintf(a.stdout, "%s: %s\n", k, strings.Join(s.Kassen[k], " "))
		}
		return nil
	})
}

type recipientsSetCmd struct {
	roomFlags
	asFlag
	Room   []string `help:"age recipient of the room's own files and of Kassen without a set (several times)." placeholder:"age1…"`
	Kasse  []string `help:"age recipient of one Kasse's files (several times)." placeholder:"IK=age1…" sep:"none"`
	Reason string   `help:"Why." required:""`
}

// Run asks for consent. What is not named is gone afterwards.
func (c *recipientsSetCmd) Run(a *app) error {
	s := room.Recipients{Room: c.Room}
	for _, line := range c.Kasse {
		ik, key, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("--kasse %q: want IK=age1…", line)
		}
		if s.Kassen == nil {
			s.Kassen = map[catalogue.KasseID][]string{}
		}
		s.Kassen[catalogue.KasseID(ik)] = append(s.Kassen[catalogue.KasseID(ik)], key)
	}
	return c.act(a, c.As, "backup.seal-to", map[string]any{"room": s.Room, "kassen": s.Kassen, "reason": c.Reason}, showConsent(a))
}
