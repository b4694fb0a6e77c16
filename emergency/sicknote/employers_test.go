package sicknote_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/emergency/sicknote"
	"leitstand/pure/kimmail"
)

// identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	tls  tls.Certificate
}

// issue makes a certificate, signed by itself without an issuer.
func issue(t *testing.T, issuer *identity, change func(*x509.Certificate)) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TEST-ONLY"}, NotBefore: t0.Add(-time.Hour), NotAfter: t0.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(c)
	parent, signer := c, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &identity{cert: cert, key: key, tls: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
}

func TestEmployersShowAClientCertificate(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	unit := func(units ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject.OrganizationalUnit = units }
	}
	ca := func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	}
	root, otherRoot := issue(t, nil, ca), issue(t, nil, ca)
	listed := issue(t, nil, unit())
	stale := issue(t, nil, func(c *x509.Certificate) { c.NotAfter = t0.Add(-time.Minute) })
	sum := func(i *identity) string {
		h := sha256.Sum256(i.cert.Raw)
		return hex.EncodeToString(h[:])
	}
	tok := sha256.Sum256([]byte("geheim"))
	known, err := sicknote.ParseEmployers(fmt.Appendf(nil, `[{"betriebsnummer":"12345678","certificate_sha256":%q},
		{"betriebsnummer":"12345678","certificate_sha256":%q},{"betriebsnummer":"12345678","token_sha256":%q}]`, sum(listed), sum(stale), hex.EncodeToString(tok[:])),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.cert.Raw}))
	must(t, err)
	srv := httptest.NewUnstartedServer(r.intake.EmployerHandler(known, func() time.Time { return t0 }))
	srv.TLS = known.TLS(issue(t, nil, unit()).tls)
	srv.Config.ErrorLog = nil
	srv.StartTLS()
	defer srv.Close()
	for name, tc := range map[string]struct {
		who   *identity
		token string
		want  int
	}{
		"listed":                {listed, "", 200},
		"listed, past its days": {stale, "", 401},
		"issued":                {issue(t, root, unit("Musterfirma", "BN12345678")), "", 200},
		"issued, other number":  {issue(t, root, unit("BN87654321")), "", 403},
		"issued, no number":     {issue(t, root, unit("Musterfirma")), "", 401},
		"issued, two numbers":   {issue(t, root, unit("BN12345678", "BN87654321")), "", 401},
		"issued for servers": {issue(t, root, func(c *x509.Certificate) {
			c.Subject.OrganizationalUnit = []string{"BN12345678"}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), "", 401},
		"issued by another":         {issue(t, otherRoot, unit("BN12345678")), "", 401},
		"signed by itself":          {issue(t, nil, unit("BN12345678")), "", 401},
		"token":                     {nil, "geheim", 200},
		"token, bad certificate":    {issue(t, otherRoot, unit("BN12345678")), "geheim", 401},
		"neither":                   {nil, "", 401},
		"token of somebody unknown": {nil, "geraten", 401},
	} {
		client := srv.Client()
		transport, ok := client.Transport.(*http.Transport)
		if !ok {
			t.Fatal("no transport")
		}
		transport = transport.Clone()
		transport.TLSClientConfig.InsecureSkipVerify = true
		if tc.who != nil {
			transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &tc.who.tls, nil }
		}
		body := fmt.Sprintf(`{"datensatz_id":"r","betriebsnummer":"12345678","versichertennummer":%q,"abwesenheit_ab":"2026-11-20"}`, certificate(1).Patient.KVNR)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/"+string(kasse)+"/requests", strings.NewReader(body))
		must(t, err)
		if tc.token != "" {
			req.Header.Set("Authorization", "Bearer "+tc.token)
		}
		resp, err := (&http.Client{Transport: transport}).Do(req)
		must(t, err)
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		transport.CloseIdleConnections()
		if resp.StatusCode != tc.want {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
	}
}

func TestAListOfEmployersIsReadStrictly(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for name, tc := range map[string]struct{ list, ca, want string }{
		"unknown key": {`[{"betriebsnummer":"12345678","token":"x"}]`, "", "unknown field"},
		"number":      {`[{"betriebsnummer":"1234567","token_sha256":"` + hash + `"}]`, "", "eight digits"},
		"no proof":    {`[{"betriebsnummer":"12345678"}]`, "", "employer 1"},
		"short hash":  {`[{"betriebsnummer":"12345678","token_sha256":"abcd"}]`, "", "64 hex digits"},
		"long hash":   {`[{"betriebsnummer":"12345678","token_sha256":"` + hash + `ab"}]`, "", "64 hex digits"},
		"two of one":  {`[{"betriebsnummer":"12345678","token_sha256":"` + hash + `"},{"betriebsnummer":"87654321","token_sha256":"` + hash + `"}]`, "", "employer 2"},
		"no CA":       {`[]`, "PEM?", "no PEM certificate"},
		"no list":     {``, "", "reading employers"},
	} {
		if _, err := sicknote.ParseEmployers([]byte(tc.list), []byte(tc.ca)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An answer that a Storno made wrong is taken back by itself, and replaced.
func TestAStornoReachesTheEmployerWhoWasTold(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		ctx := t.Context()
		r := newRoom(t, where)
		r.server.put(address, noteMail(t, 1), noteMail(t, 2))
		r.poll(t)
		ask := func(n int) sicknote.Answer {
			a, err := r.intake.Answer(ctx, sicknote.Request{ID: fmt.Sprint("r", n), Employer: fmt.Sprint("1234567", n), Kasse: kasse, Insured: certificate(n).Patient.KVNR, From: "2026-11-20"}, t0)
			must(t, err)
			return a
		}
		told := ask(1)
		ask(2)
		if got, err := r.intake.FollowUps(ctx, kasse, t0); err != nil || len(got) != 0 {
			t.Fatalf("before the Storno: %+v %v", got, err)
		}
		r.server.put(address, stornoMail(t, 1))
		r.poll(t)
		later := t0.Add(time.Hour)
		got, err := r.intake.FollowUps(ctx, kasse, later)
		must(t, err)
		if len(got) != 2 || got[0].Cancels != told.ID || got[0].Proofs != nil || got[0].Reference != "r1" ||
			got[1].Code != sicknote.CodeNotYet || got[1].Cancels != "" || !got[1].FollowsUp {
			t.Fatalf("%+v", got)
		}
		if got, err = r.intake.FollowUps(ctx, kasse, later); err != nil || len(got) != 0 {
			t.Errorf("again: %+v %v", got, err)
		}
		// The new interim answer is followed up as any other.
		again := certificate(1)
		again.ID, again.Until = certificate(11).ID, "2026-11-25"
		r.server.put(address, mail(t, kimmail.KindDelivery, again.ID, noteXML(t, again)))
		r.poll(t)
		if got, err = r.intake.FollowUps(ctx, kasse, later); err != nil || len(got) != 1 || got[0].Code != sicknote.CodeUnfit || got[0].Proofs[0].Until != "2026-11-25" {
			t.Errorf("the new note: %+v %v", got, err)
		}
		reports, err := r.intake.Reports(ctx, kasse, "12345671", 10)
		if err != nil || len(reports) != 3 || reports[0].Answer.Cancels != told.ID {
			t.Errorf("%+v %v", reports, err)
		}
		if others, err := r.intake.Reports(ctx, kasse, "12345672", 10); err != nil || len(others) != 0 {
			t.Errorf("the other employer: %+v %v", others, err)
		}
		r.status(t)
	})
}

// What the Kasse reports by itself waits until its employer has fetched it, and
// nobody else can see it or take it off.
func TestReportsWaitForTheirEmployer(t *testing.T) {
	r := newRoom(t, db.InDir(t.TempDir()))
	_, err := r.intake.Answer(t.Context(), sicknote.Request{ID: "r1", Employer: "12345678", Kasse: kasse, Insured: certificate(1).Patient.KVNR, From: "2026-11-20"}, t0)
	must(t, err)
	r.server.put(address, noteMail(t, 1))
	r.poll(t)
	if _, err := r.intake.FollowUps(t.Context(), kasse, t0); err != nil {
		t.Fatal(err)
	}
	tokens := map[[32]byte]sicknote.Employer{sha256.Sum256([]byte("a")): {Number: "12345678"}, sha256.Sum256([]byte("b")): {Number: "87654321"}}
	h := r.intake.EmployerHandler(&sicknote.Employers{Tokens: tokens}, func() time.Time { return t0 })
	call := func(method, path, token string) (int, []sicknote.Answer) {
		req := httptest.NewRequest(method, "/"+string(kasse)+path, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		for _, secret := range []string{"J06", "Quacksalber", "Mustermann", certificate(1).Patient.KVNR} {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("%s %s says %q", method, path, secret)
			}
		}
		var out []sicknote.Answer
		if bytes.HasPrefix(w.Body.Bytes(), []byte("[")) {
			must(t, json.Unmarshal(w.Body.Bytes(), &out))
		}
		return w.Code, out
	}
	code, got := call(http.MethodGet, "/reports", "a")
	if code != 200 || len(got) != 1 || got[0].Reference != "r1" || got[0].Code != sicknote.CodeUnfit {
		t.Fatalf("%d %+v", code, got)
	}
	if code, others := call(http.MethodGet, "/reports", "b"); code != 200 || len(others) != 0 {
		t.Errorf("somebody else: %d %+v", code, others)
	}
	path := "/reports/" + got[0].ID
	var codes []int
	for _, token := range []string{"", "b", "a", "a"} {
		code, _ := call(http.MethodDelete, path, token)
		codes = append(codes, code)
	}
	if want := []int{401, 404, 200, 404}; !slices.Equal(codes, want) {
		t.Errorf("taking it off: %v, want %v", codes, want)
	}
	if _, got = call(http.MethodGet, "/reports", "a"); len(got) != 0 {
		t.Errorf("after it was fetched: %+v", got)
	}
	r.status(t)
}
