package sicknote_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"leitstand/emergency/sicknote"
)

// TestNewestMailsOfAMaildropAreReadFromDovecot looks into a mailbox as a
// watchman does: the newest only, and only what it is done with goes.
func TestNewestMailsOfAMaildropAreReadFromDovecot(t *testing.T) {
	_, pool, certFile, keyFile := certify(t)
	_, overTLS, maildir := dovecot(t, certFile, keyFile)
	for n := range 6 {
		text := fmt.Sprintf("Subject: %d\r\n\r\nNummer %d\r\n", n, n)
		if n == 4 {
			text += strings.Repeat("zu groß\r\n", 2000)
		}
		putMaildir(t, maildir, n, []byte(text))
	}
	drop := sicknote.Maildrop{Addr: overTLS, Security: sicknote.TLS, User: address, Password: "pw", TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	var got []string
	err := drop.Newest(t.Context(), 3, 4096, func(mails [][]byte) []int {
		for _, m := range mails {
			_, body, _ := strings.Cut(string(m), "Nummer ")
			got = append(got, strings.TrimSpace(body))
		}
		return []int{0, 1}
	})
	must(t, err)
	if strings.Join(got, " ") != "2 3 5" {
		t.Errorf("read %q, want the newest three that are small enough, oldest first", got)
	}
	if n := maildirCount(t, maildir); n != 4 {
		t.Errorf("%d mails are left, want 4: two were done with", n)
	}
	drop.Password = "falsch"
	if err := drop.Newest(t.Context(), 3, 4096, func([][]byte) []int { return nil }); err == nil || strings.Contains(err.Error(), "falsch") {
		t.Errorf("a wrong password: %v", err)
	}
}
