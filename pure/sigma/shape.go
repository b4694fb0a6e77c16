package sigma

import "strings"

// shape is what a nested name of JSON becomes.
type shape struct {
	name  string
	id    int32
	alias bool // ECS: another name may apply
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

// aliasOf gives the Sigma name of a field of the Elastic Common Schema. It is
// used where the event has no field of that name itself.
func aliasOf(name string) string {
	switch name {
	case "event.code":
		return "EventID"
	case "event.provider":
		return "Provider_Name"
	case "process.executable":
		return "Image"
	case "process.command_line":
		return "CommandLine"
	case "process.working_directory":
		return "CurrentDirectory"
	case "process.pe.original_file_name":
		return "OriginalFileName"
	case "process.pe.company":
		return "Company"
	case "process.pe.description":
		return "Description"
	case "process.pe.product":
		return "Product"
	case "process.pid":
		return "ProcessId"
	case "process.parent.executable":
		return "ParentImage"
	case "process.parent.command_line":
		return "ParentCommandLine"
	case "process.parent.pid":
		return "ParentProcessId"
	case "file.path":
		return "TargetFilename"
	case "dll.path":
		return "ImageLoaded"
	case "registry.path":
		return "TargetObject"
	case "registry.data.strings":
		return "Details"
	case "dns.question.name":
		return "QueryName"
	case "source.ip":
		return "SourceIp"
	case "source.port":
		return "SourcePort"
	case "destination.ip":
		return "DestinationIp"
	case "destination.port":
		return "DestinationPort"
	case "destination.domain":
		return "DestinationHostname"
	case "user.name":
		return "User"
	case "powershell.file.script_block_text":
		return "ScriptBlockText"
	}
	return ""
}

// aliases adds the Sigma names of ECS fields, where they are missing.
func (e *Event) aliases() {
	for i, n := 0, len(e.fields); i < n; i++ {
		f := e.fields[i]
		target := aliasOf(e.nameOf(&f))
		if target == "" {
			continue
		}
		id := e.names.lookup([]byte(target))
		if h := e.head(id); id != 0 && (h == 0 || e.fields[h-1].copied) {
			e.push(field{id: id, off: f.off, n: f.n, null: f.null, copied: true})
		}
	}
}
