package eau_test

import (
	"path"
	"slices"
	"strings"
	"testing"

	"leitstand/pure/eau"
)

// wantKeys says which finding each invalid file of the corpus is known for.
var wantKeys = map[string][]string{
	"1.0.2/bundles/invalid/KBV_PR_EAU_Bundle-test1.xml":                                                                        {"Composition-pflicht"},
	"1.0.2/bundles/invalid/profile_invalid-after-1-2024.xml":                                                                   {"version-date"},
	"1.1.0/bundles/from-10-2024/invalid/KBV_PR_EAU_Bundle-test1.xml":                                                           {"slice-min"},
	"1.1.0/bundles/invalid/KBV_PR_EAU_Bundle-test1.xml":                                                                        {"slice-min"},
	"1.1.0/bundles/invalid/new_dmp_30_valid_from_10_2024.xml":                                                                  {"binding"},
	"1.2.0/bundles/invalid/Beispiel_1-eAU_ERST_GKV-KZVA.xml":                                                                   {"-for-laengeKZVA", "-eau-angabeKZV-AbrechnungsnummerVerbot"},
	"1.2.0/bundles/invalid/invalid-eau-geburtsdatumPatient.xml":                                                                {"-eau-geburtsdatumPatient"},
	"1.2.1/bundles/invalid/Beispiel_1-eAU_ERST_GKV-BSNR.xml":                                                                   {"-for-laengeBSNR"},
	"1.2.1/bundles/invalid/Beispiel_1-eAU_ERST_GKV-IKZ.xml":                                                                    {"-for-laengeIK"},
	"1.2.1/bundles/invalid/Beispiel_1-eAU_ERST_GKV-KSN.xml":                                                                    {"-for-laengeStandortnummer"},
	"1.2.1/bundles/invalid/Beispiel_1-eAU_ERST_GKV-KZVA.xml":                                                                   {"-for-laengeKZVA"},
	"storno-bundles/1.0.2/invalid/KBV_PR_EAU_Storno_Bundle-test1.xml":                                                          {"min", "Composition-pflicht"},
	"storno-bundles/1.1.0/invalid/KBV_PR_EAU_Storno_Bundle-test1.xml":                                                          {"fixed"},
	"storno-bundles/1.1.0-from-10-2024/invalid/KBV_PR_EAU_Storno_Bundle-test1.xml":                                             {"fixed"},
	"kbv-testfaelle/EEAU0_Fehler_6413570d-d8ce-4afa-9f6e-0950111a4cb8.xml":                                                     {"binding"},
	"other-profiles/KBV_PR_EAU_health_insurance_Practitioner/1.0.2/invalid/KBV_PR_EAU_health_insurance_Practitioner-test2.xml": {"binding"},
	"other-profiles/KBV_PR_EAU_health_insurance_Practitioner/1.1.0/invalid/KBV_PR_EAU_health_insurance_Practitioner-test1.xml": {"binding"},
}

func errorKeys(r *eau.Report) []string {
	var out []string
	for _, f := range r.Findings {
		if f.Severity == eau.SeverityError {
			out = append(out, f.Key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// versionOf is the version that the folder names; errors and the KBV's own test cases are of today's.
func versionOf(name string) eau.Version {
	for part := range strings.SplitSeq(name, "/") {
		switch v, _, _ := strings.Cut(part, "-from"); v {
		case "1.0.2", "1.1.0", "1.2.0", "1.2.1":
			return eau.Version(v)
		case "1.2":
			return eau.V120
		}
	}
	return eau.V121
}

func TestValidDocumentsPassAndInvalidOnesFailWithTheKnownKey(t *testing.T) {
	judged := 0
	corpus(t, ".", func(name string, b []byte) {
		r := eau.Check(b, eau.Options{})
		want, invalid := wantKeys[name]
		switch {
		case r.Kind == eau.KindUnknown: // single resources, see below
			return
		case invalid:
			for _, k := range want {
				if !slices.Contains(errorKeys(&r), k) {
					t.Errorf("%s: errors %q, want %q among them", name, errorKeys(&r), want)
				}
			}
		case !r.Valid || strings.Contains(name, "/invalid/"):
			t.Errorf("%s: valid %v, findings %+v", name, r.Valid, r.Findings)
		}
		if v := versionOf(name); r.Kind != eau.KindError && r.Version != v {
			t.Errorf("%s: version %s, want %s", name, r.Version, v)
		}
		judged++
	})
	if judged < 110 {
		t.Errorf("only %d documents were judged", judged)
	}
}

// Single resources are no document that anybody may send, but the corpus has
// them: what is wrong with the invalid ones must be seen.
func TestSingleResourcesAreJudgedByTheirProfile(t *testing.T) {
	corpus(t, ".", func(name string, b []byte) {
		r := eau.Check(b, eau.Options{})
		if r.Kind != eau.KindUnknown {
			return
		}
		keys := slices.DeleteFunc(errorKeys(&r), func(k string) bool { return k == "kind" })
		if valid := path.Base(path.Dir(name)) == "valid"; r.Valid || valid != (len(keys) == 0) {
			t.Errorf("%s: errors beside the kind: %q", name, keys)
		}
	})
}

func TestTheDayOfReceiptDecidesWhatIsAccepted(t *testing.T) {
	current, err := eau.Write(eau.SampleCertificate()) // issued on 20.11.2026
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte, at string, version eau.Version, keys ...string) {
		t.Helper()
		r := eau.Check(b, eau.Options{At: at})
		if got := errorKeys(&r); !slices.Equal(got, keys) || r.Version != version {
			t.Errorf("%s at %q: version %s, errors %q; want %s, %q", what, at, r.Version, got, version, keys)
		}
	}
	check("1.2", current, "", eau.V121)
	check("1.2", current, "2026-11-21", eau.V121)
	check("1.2", current, "2026-01-27", eau.V121)
	check("1.2", current, "2026-01-26", eau.V120)
	check("1.2", current, "2025-09-30", eau.V120, "version-receipt")
	corpus(t, "1.1.0/bundles/valid", func(name string, b []byte) {
		check(name, b, "2026-03-31", eau.V110)
		check(name, b, "2026-04-01", eau.V110, "version-receipt")
	})
	corpus(t, "1.0.2/bundles/valid", func(name string, b []byte) {
		check(name, b, "2023-12-31", eau.V102)
		check(name, b, "2024-01-01", eau.V102, "version-receipt")
	})
}

// The length of the BSNR came with 1.2.1, the rules about the KZV number went.
func TestTheDayOfIssueChoosesBetween120And121(t *testing.T) {
	c := eau.SampleCertificate()
	c.Organization.BSNR = "72111110"
	for day, want := range map[string][]string{"2026-01-26": nil, "2026-01-27": {"-for-laengeBSNR"}} {
		c.Date = day
		b, err := eau.Write(c)
		if err != nil {
			t.Fatal(err)
		}
		if r := eau.Check(b, eau.Options{}); !slices.Equal(errorKeys(&r), want) {
			t.Errorf("issued on %s: %q, want %q", day, errorKeys(&r), want)
		}
	}
	c = eau.SampleCertificate()
	c.Organization.BSNR, c.Organization.KZVA = "", "123456789"
	for day, want := range map[string][]string{"2026-01-26": {"-eau-angabeKZV-AbrechnungsnummerVerbot"}, "2026-01-27": nil} {
		c.Date = day
		b, err := eau.Write(c)
		if err != nil {
			t.Fatal(err)
		}
		if r := eau.Check(b, eau.Options{}); !slices.Equal(errorKeys(&r), want) {
			t.Errorf("issued on %s: %q, want %q", day, errorKeys(&r), want)
		}
	}
}

func TestReadAndCheckIsBothInOne(t *testing.T) {
	b, err := eau.Write(eau.SampleCertificate())
	if err != nil {
		t.Fatal(err)
	}
	d, r := eau.ReadAndCheck(b, eau.Options{})
	if d == nil || d.Certificate == nil || !r.Valid || d.Certificate.Patient.KVNR != "X123456788" {
		t.Errorf("got %+v, %+v", d, r)
	}
	if d, r := eau.ReadAndCheck([]byte("<a>"), eau.Options{}); d != nil || r.Valid {
		t.Errorf("no document: got %+v, %+v", d, r)
	}
}
