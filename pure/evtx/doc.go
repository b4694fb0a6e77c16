// Package evtx reads Windows event logs (*.evtx).
//
// What it promises:
//
//   - Every record that can be read is read, also from files that were cut off,
//     not closed, or damaged inside; whatever could not be read is reported as
//     [Damage] with its place and reason. A bad record costs that record only.
//   - It never panics and never loops: every step consumes input, nesting and
//     unfolding are bounded.
//   - Types stay visible: a HexInt is rendered as 0x3e7 and not as 999, an empty
//     text is not a null ([Field.Null]).
//   - Memory is bounded by one chunk of 64 KiB and one record, however large
//     the file is. Fields are valid until the next record.
//
// The fields of an event come flat, under the names that Sigma rules use
// (rules specification, Field Usage): System/Channel is Channel,
// System/Provider@Name is Provider_Name, EventData/Data[@Name="Image"] is Image,
// UserData/*/X is X. Where the body has a field that System has too, the one of
// System keeps the name and the other becomes EventData.X or UserData.X.
//
// Templates are compiled once per chunk into a list of field names and
// substitution numbers; a record then only renders its values. The format is
// described in [MS-EVEN6] §2.2.12 (BinXml) and by the libevtx project.
package evtx
