package room

import (
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/notice"
)

// What a second person reads first is words, never ids of machines alone.

// scopeWords names what is examined.
func (r *Room) scopeWords(s forensics.Scope) string {
	switch s.Kind {
	case forensics.Environment:
		if k, at, ok := catalogue.EnvironmentID(s.ID).Split(); ok {
			return "der Kassenumgebung " + r.kasseWords(k) + " (" + r.siteWords(at) + ")"
		}
		return "der Kassenumgebung " + s.ID
	case forensics.Component:
		if m, ok := r.Catalogue.Component(catalogue.ComponentID(s.ID)); ok {
			return "der gemeinsamen Technik " + m.Name + " (" + r.siteWords(m.Site) + ")"
		}
		return "der gemeinsamen Technik " + s.ID
	case forensics.Backup:
		return "der Sicherung " + s.ID
	case forensics.Realm:
		return "des Kennungsbereichs " + s.ID
	}
	return s.ID
}

func (r *Room) kasseWords(id catalogue.KasseID) string {
	if k, ok := r.Catalogue.Kasse(id); ok {
		return k.Name
	}
	return string(id)
}

func (r *Room) siteWords(id catalogue.SiteID) string {
	if s, ok := r.Catalogue.Site(id); ok {
		return s.Name
	}
	return string(id)
}

// audienceWords names who a notice is for.
func audienceWords(a notice.Audience) string {
	switch a {
	case notice.Public:
		return "die Öffentlichkeit"
	case notice.Partners:
		return "Praxen und Partner"
	case notice.Kassen:
		return "die Kassen"
	case notice.Authorities:
		return "Behörden"
	}
	return string(a)
}
