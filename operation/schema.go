package operation

import "leitstand/base/db"

// Schema is the package's part of the room's store. It goes with the schemas of
// forensics and the ledger. Lists and records are JSON, times microseconds.
var Schema = db.Migrations{Package: "operation", Steps: []string{`
	create table operation_version (
		id      bigint primary key,
		version bigint not null,
		stamp   text not null
	);
	insert into operation_version (id, version, stamp) values (1, 0, '');
	create table placement (
		id            text primary key,
		kasse         text not null,
		service       text not null,
		site          text not null,
		environment   text not null,
		regular       text not null,
		since         bigint not null,
		down          bigint not null,
		down_at       bigint not null,
		gate_only     boolean not null,
		passed        boolean not null,
		rests         text not null,
		owner         text not null,
		confirmed     bigint not null,
		cut           text not null,
		flag          text not null,
		version       bigint not null,
		emergency     text not null,
		behaviour     text not null,
		paths         text not null,
		testers       text not null,
		starting      text not null,
		undoing       text not null,
		writer        text not null,
		epoch         bigint not null,
		closing       boolean not null,
		proof         text not null,
		journal       text not null,
		observe_until bigint not null
	);
	create index placement_version on placement (version);
	create table component_state (
		id            text primary key,
		site          text not null,
		regular       text not null,
		since         bigint not null,
		down          bigint not null,
		down_at       bigint not null,
		gate_only     boolean not null,
		passed        boolean not null,
		rests         text not null,
		owner         text not null,
		confirmed     bigint not null,
		cut           text not null,
		flag          text not null,
		version       bigint not null
	);
	create index component_state_version on component_state (version);
	create table door (
		placement     text primary key,
		mode          text not null,
		testers       boolean not null,
		marked        boolean not null,
		paths         text not null,
		people        text not null,
		epoch         bigint not null,
		version       bigint not null
	);
	create index door_version on door (version);
	create table trail (
		subject       text primary key,
		named         bigint not null,
		named_by      text not null,
		reconnected   bigint not null,
		version       bigint not null
	);
	create table gateway_node (
		node          text primary key,
		services      text not null,
		retired       boolean not null,
		version       bigint not null
	);
`}}

// The statements: what stands before and after the values. Rows are written
// many at a time, as a site-wide measure changes more than a thousand.
const (
	putPlacement = `insert into placement (id, kasse, service, site, environment,
		regular, since, down, down_at, gate_only, passed, rests, owner, confirmed, cut, flag, version,
		emergency, behaviour, paths, testers, starting, undoing, writer, epoch, closing, proof, journal, observe_until) values `
	overPlacement = ` on conflict (id) do update set
		regular = excluded.regular, since = excluded.since, down = excluded.down, down_at = excluded.down_at,
		gate_only = excluded.gate_only, passed = excluded.passed, rests = excluded.rests, owner = excluded.owner,
		confirmed = excluded.confirmed, cut = excluded.cut, flag = excluded.flag, version = excluded.version,
		emergency = excluded.emergency, behaviour = excluded.behaviour, paths = excluded.paths, testers = excluded.testers,
		starting = excluded.starting, undoing = excluded.undoing, writer = excluded.writer, epoch = excluded.epoch,
		closing = excluded.closing, proof = excluded.proof, journal = excluded.journal, observe_until = excluded.observe_until`

	putComponent = `insert into component_state (id, site,
		regular, since, down, down_at, gate_only, passed, rests, owner, confirmed, cut, flag, version) values `
	overComponent = ` on conflict (id) do update set
		regular = excluded.regular, since = excluded.since, down = excluded.down, down_at = excluded.down_at,
		gate_only = excluded.gate_only, passed = excluded.passed, rests = excluded.rests, owner = excluded.owner,
		confirmed = excluded.confirmed, cut = excluded.cut, flag = excluded.flag, version = excluded.version`

	putDoor  = `insert into door (placement, mode, testers, marked, paths, people, epoch, version) values `
	overDoor = ` on conflict (placement) do update set mode = excluded.mode, testers = excluded.testers,
		marked = excluded.marked, paths = excluded.paths, people = excluded.people, epoch = excluded.epoch, version = excluded.version`

	putTrail  = `insert into trail (subject, named, named_by, reconnected, version) values `
	overTrail = ` on conflict (subject) do update set named = excluded.named, named_by = excluded.named_by,
		reconnected = excluded.reconnected, version = excluded.version`

	putGateway  = `insert into gateway_node (node, services, retired, version) values `
	overGateway = ` on conflict (node) do update set services = excluded.services, retired = excluded.retired, version = excluded.version`

	getPlacements = `select id, kasse, service, site, environment,
		regular, since, down, down_at, gate_only, passed, rests, owner, confirmed, cut, flag, version,
		emergency, behaviour, paths, testers, starting, undoing, writer, epoch, closing, proof, journal, observe_until
		from placement where version > $1 order by id`
	getComponents = `select id, site,
		regular, since, down, down_at, gate_only, passed, rests, owner, confirmed, cut, flag, version
		from component_state where version > $1 order by id`
	getDoors    = `select placement, mode, testers, marked, paths, people, epoch, version from door where version > $1 order by placement`
	getTrails   = `select subject, named, named_by, reconnected, version from trail where version > $1 order by subject`
	getGateways = `select node, services, retired, version from gateway_node where version > $1 order by node`
)
