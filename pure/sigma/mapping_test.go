package sigma

import (
	"strings"
	"testing"
)

const mapRule = `title: t
id: r
tags: [attack.x]
logsource: {product: windows, category: process_creation}
detection:
    s:
        CommandLine|contains: needle
    f:
        User: svc
        Gone: x
    condition: s and not f
`

// mapped says whether the rule matches the event under a map file.
func mapped(t *testing.T, mapping, rule, event string) bool {
	t.Helper()
	m, problems := ParseMapping(File{Name: "m.yml", Data: []byte(mapping)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	set, problems := m.Parse([]File{{Name: "r.yml", Data: []byte(rule)}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	eng, problems := Compile(set, m.Options())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	ev := eng.NewEvent()
	if err := ev.DecodeJSON([]byte(event)); err != nil {
		t.Fatal(err)
	}
	return len(eng.NewMatcher().Match(ev)) == 1
}

func TestPipelinesChangeRules(t *testing.T) {
	const sysmon = `"Channel":"Microsoft-Windows-Sysmon/Operational","EventID":1`
	for _, c := range []struct {
		name, steps, event string
		want               bool
	}{
		{"field mapping", "- {type: field_name_mapping, mapping: {CommandLine: cmd}}", `{` + sysmon + `,"cmd":"a needle"}`, true},
		{"field mapping to several", "- {type: field_name_mapping, mapping: {CommandLine: [cmd, line]}}", `{` + sysmon + `,"line":"a needle"}`, true},
		{"field mapping only for other rules", "- {type: field_name_mapping, mapping: {CommandLine: cmd}, rule_conditions: [{type: logsource, product: linux}]}", `{` + sysmon + `,"cmd":"a needle"}`, false},
		{"negated rule condition", "- {type: field_name_mapping, mapping: {CommandLine: cmd}, rule_conditions: [{type: logsource, product: linux}], rule_cond_not: true}", `{` + sysmon + `,"cmd":"a needle"}`, true},
		{"any of the rule conditions", "- {type: field_name_mapping, mapping: {CommandLine: cmd}, rule_conditions: [{type: logsource, product: linux}, {type: tag, tag: attack.x}], rule_cond_op: or}", `{` + sysmon + `,"cmd":"a needle"}`, true},
		{"all of the rule conditions", "- {type: field_name_mapping, mapping: {CommandLine: cmd}, rule_conditions: [{type: logsource, product: linux}, {type: tag, tag: attack.x}]}", `{` + sysmon + `,"cmd":"a needle"}`, false},
		{"prefix", "- {type: field_name_prefix, prefix: 'ev.'}", `{` + sysmon + `,"ev":{"CommandLine":"needle"}}`, true},
		{"suffix on some fields", "- {type: field_name_suffix, suffix: _x, field_name_conditions: [{type: include_fields, fields: ['Comm.*'], mode: re}]}", `{` + sysmon + `,"CommandLine_x":"needle"}`, true},
		{"prefix mapping", "- {type: field_name_prefix_mapping, mapping: {Command: Cmd}}", `{` + sysmon + `,"CmdLine":"needle"}`, true},
		{"drop an item", "- {type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [Gone]}]}", `{` + sysmon + `,"CommandLine":"needle","User":"svc"}`, false},
		{"not dropped", "- {type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [Other]}]}", `{` + sysmon + `,"CommandLine":"needle","User":"svc"}`, true},
		{"add a condition", "- {type: add_condition, conditions: {Host: h1}}", `{` + sysmon + `,"CommandLine":"needle"}`, false},
		{"added condition holds", "- {type: add_condition, conditions: {Host: h1}}", `{` + sysmon + `,"CommandLine":"needle","Host":"H1"}`, true},
		{"negated added condition", "- {type: add_condition, conditions: {Host: h1}, negated: true}", `{` + sysmon + `,"CommandLine":"needle"}`, true},
		{"change the log source", "- {type: change_logsource, product: windows, service: system}", `{"Channel":"System","EventID":9,"CommandLine":"needle"}`, true},
		{"replace text", "- {type: replace_string, regex: 'nee(dle)', replacement: 'pin\\1'}", `{` + sysmon + `,"CommandLine":"a pindle"}`, true},
		{"map text", "- {type: map_string, mapping: {svc: [adm, root]}}", `{` + sysmon + `,"CommandLine":"needle","User":"root","Gone":"x"}`, false},
		{"nest", "- {type: nest, items: [{type: field_name_mapping, mapping: {CommandLine: cmd}}]}", `{` + sysmon + `,"cmd":"needle"}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mapped(t, "name: p\ntransformations:\n  "+c.steps+"\n", mapRule, c.event); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestPipelinesFillPlaceholders(t *testing.T) {
	rule := "title: t\nlogsource: {product: x}\ndetection:\n    s: {F|expand: '%Servers%'}\n    condition: s\n"
	if !mapped(t, "name: p\nvars: {Servers: [a, b]}\ntransformations: [{type: value_placeholders}]\n", rule, `{"F":"b"}`) {
		t.Error("values of vars are not used")
	}
	if !mapped(t, "name: p\ntransformations: [{type: wildcard_placeholders}]\n", rule, `{"F":"anything"}`) {
		t.Error("the wildcard is not used")
	}
	if !mapped(t, "placeholders: {Servers: c}\nservices: [{product: y, service: z, channels: [Z]}]\n", rule, `{"F":"c"}`) {
		t.Error("placeholders beside routes are not used")
	}
}

func TestPipelinesMayRefuseRules(t *testing.T) {
	for steps, want := range map[string]string{
		"- {type: rule_failure, message: 'not here'}": "not here",
		"- {type: detection_item_failure, message: 'no such field', field_name_conditions: [{type: include_fields, fields: [User]}]}":                    "no such field",
		"- {type: rule_failure, message: 'not here', rule_conditions: [{type: logsource, product: linux}]}":                                              "",
		"- {type: detection_item_failure, message: 'no such field', field_name_conditions: [{type: exclude_fields, fields: [User, Gone, CommandLine]}]}": "",
	} {
		m, problems := ParseMapping(File{Name: "m.yml", Data: []byte("transformations:\n  " + steps + "\n")})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		set, problems := m.Parse([]File{{Name: "r.yml", Data: []byte(mapRule)}})
		switch {
		case want == "" && (len(problems) > 0 || len(set.Rules) != 1):
			t.Errorf("%s: %v", steps, problems)
		case want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Reason, want) || len(set.Rules) != 0):
			t.Errorf("%s: %v", steps, problems)
		}
	}
}

func TestWhatAMapFileMayNotSay(t *testing.T) {
	for _, c := range []struct{ text, reason string }{
		{"- a", "map"},
		{"what: 1", "what"},
		{"transformations: [{type: query_expression_placeholders}]", "query_expression_placeholders"},
		{"transformations: [{type: field_name_mapping}]", "mapping"},
		{"transformations: [{type: field_name_mapping, mapping: {a: b}, rule_cond_expression: x}]", "rule_cond_expression"},
		{"transformations: [{type: field_name_mapping, mapping: {a: b}, rule_conditions: [{type: what}]}]", "what"},
		{"transformations: [{type: field_name_mapping, mapping: {a: b}, detection_item_conditions: [{type: x}]}]", "detection_item"},
		{"transformations: [{type: replace_string, regex: '('}]", "regular expression"},
		{"services: [{product: a, service: b}]", "channels"},
		{"categories: [{product: a, category: b, service: c, events: [1]}]", "channels"},
		{"services: [{product: a, service: b, channels: [c], events: [x]}]", "number"},
		{"services: [{product: a, service: b, channels: [c], what: d}]", "what"},
		{"logsources: {a: {product: windows, category: c, conditions: {EventID: 1}, rewrite: {product: windows, service: nowhere}}}", "no source"},
	} {
		_, problems := ParseMapping(File{Name: "m.yml", Data: []byte(c.text)})
		if len(problems) != 1 || !strings.Contains(problems[0].Reason, c.reason) || problems[0].Line == 0 {
			t.Errorf("%s: got %v, want a reason with %q", c.text, problems, c.reason)
		}
	}
}

func TestThorLogsourcesAreRead(t *testing.T) {
	const thor = `title: x
logsources:
    a:
        category: registry_add
        product: windows
        conditions: {EventID: 12, EventType: CreateKey}
        rewrite: {product: windows, service: sysmon}
    b:
        product: windows
        service: sysmon
        sources: ['WinEventLog:My/Sysmon']
    c:
        category: process_creation
        product: windows
        conditions: {EventID: [4688]}
        rewrite: {product: windows, service: sysmon}
        fieldmappings: {Image: NewProcessName}
`
	rule := "title: t\nlogsource: {product: windows, category: registry_add}\ndetection: {s: {F: a}, condition: s}\n"
	for ev, want := range map[string]bool{
		`{"Channel":"My/Sysmon","EventID":12,"EventType":"CreateKey","F":"a"}`: true,
		`{"Channel":"My/Sysmon","EventID":12,"EventType":"DeleteKey","F":"a"}`: false,
		`{"Channel":"My/Sysmon","EventID":13,"EventType":"CreateKey","F":"a"}`: false,
	} {
		if got := mapped(t, thor, rule, ev); got != want {
			t.Errorf("%s: %v", ev, got)
		}
	}
	rule = "title: t\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {Image: a}, condition: s}\n"
	if !mapped(t, thor, rule, `{"Channel":"My/Sysmon","EventID":4688,"NewProcessName":"A"}`) {
		t.Error("the other name of the field is not used")
	}
	rule = "title: t\nlogsource: {product: windows}\ndetection: {s: {F: a}, condition: s}\n"
	for ev, want := range map[string]bool{
		`{"Channel":"A channel that no route names","EventID":7,"F":"a"}`: true, // product alone: all of Windows
		`{"Channel":"My/Sysmon","EventID":7,"F":"a"}`:                     true,
		`{"program":"sshd","F":"a"}`:                                      false,
	} {
		if got := mapped(t, thor, rule, ev); got != want {
			t.Errorf("product alone: %s: %v", ev, got)
		}
	}
}
