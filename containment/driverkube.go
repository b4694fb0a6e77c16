package containment

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"
)

// KubernetesConfig is a driver that denies all traffic of a namespace by one
// NetworkPolicy, applied by the server (server-side apply). It was tested
// against the semantics of the API only, not on a cluster. What it cannot do: a
// policy only works where the network plugin enforces it; pods on the host's
// network and, with some plugins, established connections go on. Policies add up:
// another policy that allows something opens a hole, which the driver refuses.
type KubernetesConfig struct {
	Server    string        `yaml:"server"`     // https://address:6443
	CAFile    string        `yaml:"ca_file"`    // of the API server
	TokenFile string        `yaml:"token_file"` // bearer token; read again for every request
	Timeout   time.Duration `yaml:"timeout"`    // of one request; default 10s
}

const (
	policyName   = "leitstand-cut"
	fieldManager = "leitstand"
)

type kubernetesDriver struct {
	name   string
	c      KubernetesConfig
	token  string
	client *http.Client
}

func newKubernetesDriver(name string, c KubernetesConfig, path func(string) string) (*kubernetesDriver, error) {
	if err := httpsOrLoopback(c.Server); err != nil {
		return nil, err
	}
	if c.TokenFile == "" {
		return nil, errors.New("token_file is needed")
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if c.CAFile != "" {
		pem, err := os.ReadFile(path(c.CAFile))
		if err != nil {
			return nil, fmt.Errorf("reading the CA of the API server: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%q holds no certificate", c.CAFile)
		}
		tr.TLSClientConfig.RootCAs = pool
	}
	return &kubernetesDriver{name: name, c: c, token: path(c.TokenFile), client: noRedirects(&http.Client{Timeout: c.Timeout, Transport: tr})}, nil
}

type (
	kubeMeta struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace,omitempty"`
		Labels    map[string]string `json:"labels,omitempty"`
	}
	kubeBlock struct {
		CIDR string `json:"cidr"`
	}
	kubePeer struct {
		IPBlock *kubeBlock `json:"ipBlock,omitempty"`
	}
	kubeIngress struct {
		From []kubePeer `json:"from"`
	}
	kubeEgress struct {
		To []kubePeer `json:"to"`
	}
	kubeSpec struct {
		PodSelector struct{}      `json:"podSelector"`
		PolicyTypes []string      `json:"policyTypes"`
		Ingress     []kubeIngress `json:"ingress,omitempty"`
		Egress      []kubeEgress  `json:"egress,omitempty"`
	}
	kubePolicy struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Metadata   kubeMeta `json:"metadata"`
		Spec       kubeSpec `json:"spec"`
	}
)

func policyOf(t Target) kubePolicy {
	p := kubePolicy{
		APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy",
		Metadata: kubeMeta{Name: policyName, Namespace: t.Params["namespace"], Labels: map[string]string{"app.kubernetes.io/managed-by": fieldManager}},
		Spec:     kubeSpec{PolicyTypes: []string{"Ingress", "Egress"}},
	}
	if peers := kubePeers(t.Always); len(peers) > 0 {
		p.Spec.Ingress, p.Spec.Egress = []kubeIngress{{peers}}, []kubeEgress{{peers}}
	}
	return p
}

func kubePeers(all []netip.Prefix) []kubePeer {
	var out []kubePeer
	for _, a := range all {
		out = append(out, kubePeer{&kubeBlock{a.String()}})
	}
	return out
}

// Name is the driver's name.
func (d *kubernetesDriver) Name() string { return d.name }

// DryRun shows the policy, and what would open a hole in it.
func (d *kubernetesDriver) DryRun(_ context.Context, t Target) (DryRun, error) {
	body, err := json.MarshalIndent(policyOf(t), "", "  ")
	return DryRun{
		Driver: d.name, Target: t.ID,
		Words: fmt.Sprintf("Der Namensraum %s bekommt eine NetworkPolicy, die alles verbietet.", t.Params["namespace"]),
		Exact: []string{"PATCH " + d.url(t, policyName) + "?fieldManager=" + fieldManager + "&force=true", string(body)},
	}, err
}

// Execute applies the policy. It refuses while other policies allow something:
// they add up, so that the cut would have a hole.
func (d *kubernetesDriver) Execute(ctx context.Context, t Target) error {
	holes, err := d.holes(ctx, t)
	if err != nil {
		return err
	}
	if len(holes) > 0 {
		return fmt.Errorf("namespace %q has policies that allow traffic and add up with ours: %s; take them away first", t.Params["namespace"], strings.Join(holes, ", "))
	}
	body, err := json.Marshal(policyOf(t))
	if err != nil {
		return fmt.Errorf("encoding the policy: %w", err)
	}
	_, status, err := d.do(ctx, http.MethodPatch, d.url(t, policyName)+"?fieldManager="+fieldManager+"&force=true", body)
	if err == nil && status/100 != 2 {
		err = fmt.Errorf("applying the policy in %q: status %d", t.Params["namespace"], status)
	}
	return err
}

// Undo deletes the policy; that it is gone already is no error.
func (d *kubernetesDriver) Undo(ctx context.Context, t Target) error {
	_, status, err := d.do(ctx, http.MethodDelete, d.url(t, policyName), nil)
	if err == nil && status/100 != 2 && status != http.StatusNotFound {
		err = fmt.Errorf("deleting the policy in %q: status %d", t.Params["namespace"], status)
	}
	return err
}

// Probe reads the policy back and looks for others that allow something.
func (d *kubernetesDriver) Probe(ctx context.Context, t Target) (Seen, error) {
	body, status, err := d.do(ctx, http.MethodGet, d.url(t, policyName), nil)
	if err != nil {
		return Seen{}, err
	}
	if status == http.StatusNotFound {
		return Seen{Detail: "there is no policy " + policyName}, nil
	}
	var have kubePolicy
	if status/100 != 2 || json.Unmarshal(body, &have) != nil {
		return Seen{}, fmt.Errorf("reading the policy of %q: status %d", t.Params["namespace"], status)
	}
	if want := policyOf(t); !reflect.DeepEqual(have.Spec, want.Spec) {
		return Seen{Detail: "the policy was changed"}, nil
	}
	holes, err := d.holes(ctx, t)
	if err != nil {
		return Seen{}, err
	}
	if len(holes) > 0 {
		return Seen{Detail: "other policies allow traffic: " + strings.Join(holes, ", ")}, nil
	}
	return Seen{Held: true, Detail: "the policy is in place; that it is enforced only the probe from outside shows"}, nil
}

// holes are other policies of the namespace with any rule that allows.
func (d *kubernetesDriver) holes(ctx context.Context, t Target) ([]string, error) {
	body, status, err := d.do(ctx, http.MethodGet, d.url(t, ""), nil)
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata kubeMeta `json:"metadata"`
			Spec     struct {
				Ingress []json.RawMessage `json:"ingress"`
				Egress  []json.RawMessage `json:"egress"`
			} `json:"spec"`
		} `json:"items"`
	}
	if status/100 != 2 || json.Unmarshal(body, &list) != nil {
		return nil, fmt.Errorf("listing the policies of %q: status %d", t.Params["namespace"], status)
	}
	var out []string
	for _, p := range list.Items {
		if p.Metadata.Name != policyName && len(p.Spec.Ingress)+len(p.Spec.Egress) > 0 {
			out = append(out, p.Metadata.Name)
		}
	}
	return out, nil
}

func (d *kubernetesDriver) url(t Target, name string) string {
	u := strings.TrimSuffix(d.c.Server, "/") + "/apis/networking.k8s.io/v1/namespaces/" + url.PathEscape(t.Params["namespace"]) + "/networkpolicies"
	if name != "" {
		u += "/" + name
	}
	return u
}

func (d *kubernetesDriver) do(ctx context.Context, method, address string, body []byte) ([]byte, int, error) {
	token, err := os.ReadFile(d.token)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the token: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, 0, fmt.Errorf("calling the API server: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/apply-patch+yaml") // JSON is YAML
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("calling the API server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read below
	out, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return nil, 0, fmt.Errorf("reading the API server's answer: %w", err)
	}
	return out, resp.StatusCode, nil
}
