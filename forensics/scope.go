package forensics

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ScopeKind is what a clearance, a rotation or an indicator is about.
type ScopeKind string

// The kinds of scopes.
const (
	Environment ScopeKind = "environment" // all systems of one Kasse at one site
	Component   ScopeKind = "component"   // shared machinery
	Backup      ScopeKind = "backup"      // a set of backups
	Realm       ScopeKind = "realm"       // a credential realm, such as a domain
)

// Scope names one thing that is examined as a whole.
type Scope struct {
	Kind ScopeKind `json:"kind"`
	ID   string    `json:"id"`
}

// String is kind and id, such as "environment:109034270@munich".
func (s Scope) String() string { return string(s.Kind) + ":" + s.ID }

// ParseScope reads what String writes.
func ParseScope(text string) (Scope, error) {
	kind, id, _ := strings.Cut(text, ":")
	s := Scope{ScopeKind(kind), id}
	return s, s.check()
}

func (s Scope) check() error {
	if !slices.Contains([]ScopeKind{Environment, Component, Backup, Realm}, s.Kind) {
		return fmt.Errorf("scope %q: want environment, component, backup or realm before the colon", s)
	}
	if s.ID == "" || len(s.ID) > 200 {
		return fmt.Errorf("scope %q: an id of 1 to 200 bytes is needed after the colon", s)
	}
	return nil
}

// checkCovers refuses a list of what else is covered where the scope itself is
// what is examined: each environment and component gets a clearance of its own.
func (s Scope) checkCovers(covers []string) error {
	if len(covers) > 0 && s.Kind != Backup && s.Kind != Realm {
		return errors.New("only a backup or a realm covers environments and components")
	}
	return nil
}

// covered lists the environments and components a scope stands for: itself, or
// what somebody says rests on the backup or uses the realm.
func (s Scope) covered(covers []string) []string {
	if s.Kind == Environment || s.Kind == Component {
		return []string{s.ID}
	}
	return covers
}
