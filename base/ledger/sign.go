package ledger

import (
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Sign signs a text, which ends with a new line, with the key of the ledger: for
// records that are kept outside of a store until they can enter it.
func (k Key) Sign(text string) (string, error) {
	signer, err := note.NewSigner(k.secret)
	if err != nil {
		return "", fmt.Errorf("reading the ledger key: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return string(signed), nil
}

// Unsign returns the text of what Sign made, if the key with this public half
// signed it, or one that it succeeded: such records only ever make doors safer.
func Unsign(signed, public string) (string, error) {
	t, err := parseTrust(public)
	if err != nil {
		return "", err
	}
	text, _, err := t.open(signed)
	if err != nil {
		return "", fmt.Errorf("checking the signature: %w", err)
	}
	return text, nil
}
