package sicknote

import (
	"context"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/kimmail"
)

// DescribeFor is [Intake.Describe] with the keys of a Kasse's mailbox.
func (in *Intake) DescribeFor(k catalogue.KasseID) func(context.Context, emergency.Item, []byte) (emergency.Content, error) {
	return in.Describe(in.keysOf(k))
}

// Describe is for [emergency.Handover]: the regular system gets the document as
// the practice attached it, byte for byte, or the whole mail when there is none.
// Attributes say what else it must know; they travel with the content only.
func (in *Intake) Describe(keys kimmail.Decrypter) func(context.Context, emergency.Item, []byte) (emergency.Content, error) {
	plain := reader{limits: in.reader.limits} // what is wrong with it was judged when it came
	return func(_ context.Context, it emergency.Item, body []byte) (emergency.Content, error) {
		if it.Media != "message/rfc822" {
			return emergency.Content{Media: it.Media, Body: body}, nil
		}
		r := plain.read(body, keys, it.Received)
		c := emergency.Content{Media: it.Media, Body: body, Attributes: map[string]string{"fetched": it.Received.Format(time.RFC3339)}}
		if r.document != nil {
			c.Media, c.Body = r.media, r.document
		}
		for name, value := range map[string]string{"document": r.id, "cancels": r.cancels, "message_id": r.messageID, "payer": r.payer} {
			if value != "" {
				c.Attributes[name] = value
			}
		}
		if r.marked && r.test {
			c.Attributes["test"] = "true"
		}
		return c, nil
	}
}
