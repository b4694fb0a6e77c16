package main

import (
	"errors"
	"fmt"

	"leitstand/room"
)

type keysRotateRoomCmd struct {
	roomFlags
	asFlag
	NewPassphraseFile string   `help:"File with the new passphrase." type:"existingfile"`
	NewHolder         []string `help:"Instead of one passphrase: file with the passphrase of one person of those who open the room together (several times)." sep:"none" placeholder:"PERSON=FILE"`
	Need              int      `help:"How many of the new holders open it together." default:"2"`
	Reason            string   `help:"Why." required:""`
}

// Run rotates the master key.
func (c *keysRotateRoomCmd) Run(a *app) error {
	if (c.NewPassphraseFile == "") == (len(c.NewHolder) == 0) {
		return errors.New("say what opens the room from now on: --new-passphrase-file FILE, or --new-holder PERSON=FILE for each of several people")
	}
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	to := room.Opening{Need: c.Need}
	if to.Holders, err = readHolders(c.NewHolder); err != nil {
		return err
	}
	if c.NewPassphraseFile != "" {
		if to.Passphrase, err = readPassphrase(c.NewPassphraseFile); err != nil {
			return err
		}
	}
	if opt.Passphrase == nil && len(opt.Holders) == 0 {
		return errors.New("the present passphrase is read from a file: --passphrase-file FILE, or --holder PERSON=FILE for each of those who share the key")
	}
	if err := room.RotateMaster(a.ctx, opt, to, c.As, c.Reason); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "Der Raum hat einen neuen Hauptschlüssel. Die alte Hinterlegung öffnet ihn nicht mehr: leitstand keys escrow")
	return nil
}

type keysShareCmd struct {
	roomFlags
	asFlag
	Second string   `help:"Second person, who is there." required:""`
	With   []string `help:"File with the passphrase of one holder (several times); without files each is asked at the terminal." sep:"none" placeholder:"PERSON=FILE"`
	Person []string `help:"Holder who is asked for a passphrase at the terminal (several times)."`
	Need   int      `help:"How many of them open the room together." default:"2"`
}

// Run shares the room's key.
func (c *keysShareCmd) Run(a *app) error {
	read, err := readHolders(c.With)
	if err != nil {
		return err
	}
	holders := map[string]string{}
	for person, pass := range read {
		holders[person] = string(pass)
	}
	for _, person := range c.Person {
		if _, twice := holders[person]; twice {
			return fmt.Errorf("%q is named twice", person)
		}
		pass, err := askPassphrase(a, "", "Neue Passphrase von "+person)
		if err != nil {
			return err
		}
		holders[person] = string(pass)
	}
	return c.act(a, c.As, "keys.share", map[string]any{"second": c.Second, "need": c.Need, "holders": holders}, nil)
}

type keysSingleCmd struct {
	roomFlags
	asFlag
	Second            string `help:"Second person, who is there." required:""`
	NewPassphraseFile string `help:"File with the room's passphrase from now on." required:"" type:"existingfile"`
}

// Run goes back to one passphrase.
func (c *keysSingleCmd) Run(a *app) error {
	pass, err := readPassphrase(c.NewPassphraseFile)
	if err != nil {
		return err
	}
	return c.act(a, c.As, "keys.single", map[string]any{"second": c.Second, "passphrase": string(pass)}, nil)
}

type keysLedgerCmd struct {
	roomFlags
	asFlag
	Second string `help:"Second person, who decides it too." required:""`
	Reason string `help:"Why." required:""`
	Lost   bool   `help:"ledger.key is gone, and neither a backup nor the escrow has it: the new key begins without the old one's signature."`
}

// Run rotates the key of the ledgers.
func (c *keysLedgerCmd) Run(a *app) error {
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	err = room.RotateLedgerKey(a.ctx, opt, room.RotateLedgerArgs{First: c.As, Second: c.Second, Reason: c.Reason, Lost: c.Lost})
	if err != nil {
		return err
	}
	if err := (&keysStatusCmd{roomFlags: c.roomFlags}).Run(a); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, "Neuen Kopf an Zeugen geben (leitstand ledger head), neue Sicherung und neue Hinterlegung machen: die alten halten den alten Schlüssel.")
	return nil
}
