package eau

// Version is a version of the profiles.
type Version string

// The versions of the eAU. 1.2.0 and 1.2.1 are both written "|1.2" in a
// document; the day of issue tells them apart.
const (
	V102 Version = "1.0.2"
	V110 Version = "1.1.0"
	V120 Version = "1.2.0"
	V121 Version = "1.2.1"
)

// first121 is the first day of 1.2.1 (Technische Anlage eAU 1.26).
const first121 = "2026-01-27"

// window is the time in which documents of a profile version are issued and
// accepted, both days included; "" is open.
type window struct{ from, to string }

// windows by the version written in the profile. Accepting 1.1.0 ends with
// 31.03.2026 (Technische Anlage eAU 1.26, P5-08).
func windowOf(profileVersion string) (window, bool) {
	switch profileVersion {
	case "1.0.2":
		return window{"2021-07-01", "2023-12-31"}, true
	case "1.1.0":
		return window{"2023-07-01", "2026-03-31"}, true
	case "1.2":
		return window{"2025-10-01", ""}, true
	}
	return window{}, false
}

func (w window) has(day string) bool { return day >= w.from && (w.to == "" || day <= w.to) }

// versionOn returns the version of the rules for a written profile version and
// a day. Without a usable profile version the day alone decides.
func versionOn(profileVersion, day string) Version {
	switch profileVersion {
	case "1.0.2":
		return V102
	case "1.1.0":
		return V110
	case "1.2":
		if day != "" && day < first121 {
			return V120
		}
		return V121
	}
	switch {
	case day == "" || day >= first121:
		return V121
	case day >= "2025-10-01":
		return V120
	case day >= "2024-01-01":
		return V110
	}
	return V102
}

// Severity of a finding.
type Severity int

// Errors make a document invalid, warnings never.
const (
	SeverityError Severity = iota + 1
	SeverityWarning
)

// String returns error or warning.
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}
