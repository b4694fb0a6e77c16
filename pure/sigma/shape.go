package sigma

import "strings"

// nameEntry is what a name of JSON, or a path through it, has been found to be.
// Logs write the same fields in the same order again and again, so each entry
// remembers which one came next.
type nameEntry struct {
	path  string // as in the log
	key   string // what follows the opening quote when the next name is this one: path":
	final string // as rules may name it
	id    int32
	num   uint32 // position in Event.entries
	own   bool   // final is not the name that the table has for id
	alias bool
	next  *nameEntry
}

// maxEntries bounds the memory of names; hostile logs may invent them.
const maxEntries = 10000

// entry returns what a path is.
func (e *Event) entry(path []byte) *nameEntry {
	if n := e.last.next; n != nil && n.path == view(path) {
		e.last = n
		return n
	}
	n := e.byPath[string(path)]
	if n == nil {
		n = &nameEntry{path: string(path), num: uint32(len(e.entries))}
		n.final = n.path
		if strings.IndexByte(n.path, '.') >= 0 {
			n.final = canonical(n.path)
		}
		n.id = e.names.lookup([]byte(n.final))
		if !strings.ContainsAny(n.path, "\"\\") { // as written and as meant are the same
			n.key = n.path + `":`
		}
		n.own = n.id == 0 || e.names.names[n.id] != n.final
		n.alias = e.names.alias[n.id] != 0
		e.byPath[n.path] = n
		e.entries = append(e.entries, n)
	}
	e.last.next, e.last = n, n
	return n
}

// field begins a field of that name.
func (e *Event) field(n *nameEntry) field {
	if n.alias {
		e.alias = append(e.alias, int32(len(e.fields)))
	}
	f := field{id: n.id}
	if n.own {
		f.name, f.nameLen = n.num, inExtra
	}
	return f
}

// canonical turns a path through nested JSON into the field name that rules
// use: evtx_dump ("Event.System.Provider.#attributes.Name" is Provider_Name),
// Winlogbeat ("winlog.event_data.Image" is Image), else the path itself.
func canonical(path string) string {
	p := strings.TrimPrefix(path, "Event.")
	if rest, ok := strings.CutPrefix(p, "System."); ok {
		return attributes(rest)
	}
	for _, part := range [...]string{"EventData.", "winlog.event_data.", "winlog.user_data."} {
		if rest, ok := strings.CutPrefix(p, part); ok && rest != "" {
			return besideSystem(strings.TrimSuffix(part, "."), attributes(rest))
		}
	}
	if rest, ok := strings.CutPrefix(p, "UserData."); ok {
		if _, inner, ok := strings.Cut(rest, "."); ok {
			return besideSystem("UserData", attributes(inner))
		}
	}
	switch path {
	case "winlog.channel":
		return "Channel"
	case "winlog.event_id":
		return "EventID"
	case "winlog.provider_name":
		return "Provider_Name"
	case "winlog.provider_guid":
		return "Provider_Guid"
	case "winlog.computer_name":
		return "Computer"
	case "winlog.record_id":
		return "EventRecordID"
	case "winlog.time_created":
		return "TimeCreated_SystemTime"
	case "winlog.process.pid":
		return "Execution_ProcessID"
	}
	return path
}

// attributes joins an element and its attribute with "_", and drops "#text".
func attributes(p string) string {
	p = strings.TrimSuffix(p, ".#text")
	if elem, attr, ok := strings.Cut(p, ".#attributes."); ok {
		return leaf(elem) + "_" + attr
	}
	if elem, attr, ok := strings.Cut(p, "_attributes."); ok {
		return leaf(elem) + "_" + attr
	}
	return leaf(p)
}

func leaf(p string) string {
	if i := strings.LastIndexByte(p, '.'); i >= 0 {
		return p[i+1:]
	}
	return p
}

// besideSystem keeps a field of the event's body apart from one of System with
// the same name.
func besideSystem(part, name string) string {
	switch name {
	case "EventID", "Version", "Level", "Task", "Opcode", "Keywords", "EventRecordID", "Channel", "Computer":
		return part + "." + name
	}
	return name
}

// aliasTable gives the Sigma names of fields as NXLog and the Elastic Common
// Schema call them. They are used where the event has no field of that name itself.
func aliasTable() [][2]string {
	return [][2]string{
		{"SourceName", "Provider_Name"},
		{"ProviderName", "Provider_Name"},
		{"Hostname", "Computer"},
		{"RecordNumber", "EventRecordID"},
		{"MESSAGE", "message"},
		{"_HOSTNAME", "host"},
		{"SYSLOG_IDENTIFIER", "program"},
		{"_PID", "pid"},
		{"event.code", "EventID"},
		{"event.provider", "Provider_Name"},
		{"process.executable", "Image"},
		{"process.command_line", "CommandLine"},
		{"process.working_directory", "CurrentDirectory"},
		{"process.pe.original_file_name", "OriginalFileName"},
		{"process.pe.company", "Company"},
		{"process.pe.description", "Description"},
		{"process.pe.product", "Product"},
		{"process.pid", "ProcessId"},
		{"process.parent.executable", "ParentImage"},
		{"process.parent.command_line", "ParentCommandLine"},
		{"process.parent.pid", "ParentProcessId"},
		{"file.path", "TargetFilename"},
		{"dll.path", "ImageLoaded"},
		{"registry.path", "TargetObject"},
		{"registry.data.strings", "Details"},
		{"dns.question.name", "QueryName"},
		{"source.ip", "SourceIp"},
		{"source.port", "SourcePort"},
		{"destination.ip", "DestinationIp"},
		{"destination.port", "DestinationPort"},
		{"destination.domain", "DestinationHostname"},
		{"user.name", "User"},
		{"powershell.file.script_block_text", "ScriptBlockText"},
	}
}

// aliases adds the Sigma names of fields that have one, where they are missing.
func (e *Event) aliases() {
	for _, i := range e.alias {
		f := e.fields[i]
		to := e.names.alias[f.id]
		if h := e.head(to); h == 0 || e.fields[h-1].copied {
			e.push(field{id: to, off: f.off, n: f.n, null: f.null, copied: true})
		}
	}
	e.alias = e.alias[:0]
}
