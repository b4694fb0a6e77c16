package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"leitstand/room"
)

// copyFlags say where a served room is copied to all the time.
type copyFlags struct {
	CopyTo      string `help:"Second place: a directory on another disk or machine, prepared by 'copy init'. The room is copied there all the time, and asks there whether another machine has taken over." type:"path" env:"LEITSTAND_COPY_TO" placeholder:"DIR"`
	AloneAs     string `help:"Go on writing although the second place cannot be asked: first person." placeholder:"PERSON"`
	AloneSecond string `help:"Second person of that decision." placeholder:"PERSON"`
	AloneReason string `help:"Why, and how it is known that no other machine has taken over." placeholder:"TEXT"`
}

func (c copyFlags) set(opt *room.Options) error {
	opt.CopyTo = c.CopyTo
	if c.AloneAs == "" && c.AloneSecond == "" && c.AloneReason == "" {
		return nil
	}
	if c.CopyTo == "" || c.AloneAs == "" || c.AloneSecond == "" || c.AloneReason == "" {
		return errors.New("going on alone needs --copy-to, --alone-as, --alone-second and --alone-reason")
	}
	opt.Alone = &room.Alone{First: c.AloneAs, Second: c.AloneSecond, Reason: c.AloneReason}
	return nil
}

type copyCmd struct {
	Init   copyInitCmd   `cmd:"" help:"Prepare a directory as the second place of a room."`
	Status copyStatusCmd `cmd:"" help:"How the continuous copy of the served room stands."`
}

type copyInitCmd struct {
	roomFlags
	To string `arg:"" help:"New directory on another disk or machine." type:"path"`
}

// Run prepares the second place.
func (c *copyInitCmd) Run(a *app) error {
	if err := room.PreparePlace(c.Data, c.To); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s ist der zweite Ort dieses Raums. Weiter mit:\n  leitstand serve --data %s --copy-to %s\n", c.To, c.Data, c.To)
	return nil
}

type copyStatusCmd struct {
	roomFlags
	Fresh bool `help:"Exit 1 unless the copy holds everything that was acknowledged before this command."`
}

// Run prints how the copy stands.
func (c *copyStatusCmd) Run(a *app) error {
	return c.act(a, "", "copy.status", nil, func(raw json.RawMessage) error {
		var s room.CopyStatus
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		if s.To == "" {
			fmt.Fprintln(a.stdout, "Keine laufende Kopie: serve --copy-to VERZEICHNIS")
			return nil
		}
		closed := map[bool]string{true: "versiegelt", false: "nicht versiegelt"}[s.Sealed]
		fmt.Fprintf(a.stdout, "%s: Stand %s, %.1f MB, %s\n", s.To, local(s.At), float64(s.Bytes)/1e6, closed)
		if c.Fresh && s.Behind {
			return &exitError{code: 1, err: errors.New("the copy does not hold everything yet: try again")}
		}
		if s.Error != "" {
			return &exitError{code: 1, err: errors.New(s.Error)}
		}
		return nil
	})
}
