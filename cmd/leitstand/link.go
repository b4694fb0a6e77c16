package main

import (
	"encoding/json"
	"fmt"
	"time"
)

// linkCmd is for whoever may use the data directory: its command socket admits
// nobody else.
type linkCmd struct{ roomFlags }

// Run prints a link that admits one more device to the control room.
func (c *linkCmd) Run(a *app) error {
	return c.act(a, "", "link.new", nil, func(raw json.RawMessage) error {
		var v struct {
			URL string
			End time.Time
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the link: %w", err)
		}
		fmt.Fprintf(a.stdout, "%s\nDer Link lässt ein Gerät ein, bis %s.\n", v.URL, local(v.End))
		return nil
	})
}
