package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"leitstand/pure/seal"
)

func TestAMasterKeyIsOpenedByTwoPeopleTogetherAndByNobodyAlone(t *testing.T) {
	m := seal.NewMaster()
	people := []seal.Passphrase{{Person: "anna", Secret: []byte("eins")}, {Person: "bert", Secret: []byte("zwei")}, {Person: "carl", Secret: []byte("drei")}}
	for name, bad := range map[string]struct {
		need int
		of   []seal.Passphrase
	}{
		"one person":          {1, people},
		"more than there are": {4, people},
		"a person twice":      {2, []seal.Passphrase{people[0], {Person: "anna", Secret: []byte("vier")}}},
		"one passphrase":      {2, []seal.Passphrase{people[0], {Person: "bert", Secret: []byte("eins")}}},
		"an empty passphrase": {2, []seal.Passphrase{people[0], {Person: "bert"}}},
	} {
		if _, err := m.Share(bad.need, bad.of...); err == nil {
			t.Errorf("shared with %s", name)
		}
	}
	made, err := m.Share(2, people...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := made.Marshal()
	if err != nil || !seal.IsShared(b) || bytes.Contains(b, m.Marshal()) {
		t.Fatalf("%v: %s", err, b)
	}
	s, err := seal.ParseShared(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Unlock(seal.Passphrase{Person: "anna", Secret: []byte("zwei")}); !errors.Is(err, seal.ErrPassphrase) {
		t.Errorf("another one's passphrase: %v", err)
	}
	if _, err := s.Unlock(seal.Passphrase{Person: "dora", Secret: []byte("eins")}); !errors.Is(err, seal.ErrNotHolder) {
		t.Errorf("somebody without a share: %v", err)
	}
	var shares []seal.Share
	for _, p := range people[1:] {
		share, err := s.Unlock(p)
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, share)
	}
	if _, err := s.Combine(shares[0]); !errors.Is(err, seal.ErrShares) {
		t.Errorf("one share alone: %v", err)
	}
	if _, err := s.Combine(shares[0], shares[0]); !errors.Is(err, seal.ErrShares) {
		t.Errorf("one share twice: %v", err)
	}
	got, err := s.Combine(shares...)
	if err != nil || !bytes.Equal(got.Marshal(), m.Marshal()) {
		t.Errorf("two of three: %v", err)
	}
	s.Closed[len(s.Closed)-1]++
	if _, err := s.Combine(shares...); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("a changed bundle: %v", err)
	}
	for _, bad := range []string{"", "{}", `{"leitstand":"shared master key","need":1}`, `{"leitstand":"shared master key","need":2,"holders":[]}`} {
		if _, err := seal.ParseShared([]byte(bad)); !errors.Is(err, seal.ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
