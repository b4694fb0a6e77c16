# One screen. `make check` is what CI runs; the longer runs report figures.
.PHONY: old-room sicknote-load build run check test lint fmt fuzz bench psplib psplib-seconds gateway-bench two-nodes neighbours backup-bench kills million long bus peers
# leitstand-token is needed only where keys lie in PKCS#11 tokens; put it beside leitstand.
build:
	CGO_ENABLED=0 go build -trimpath -o leitstand ./cmd/leitstand
	CGO_ENABLED=0 go build -trimpath -o leitstand-token ./cmd/leitstand-token
run: ; go run ./cmd/leitstand exercise
check: ; ./check
test: ; go test ./...
lint: ; go tool -modfile=tools/go.mod golangci-lint run ./...
fmt: ; go tool -modfile=tools/go.mod golangci-lint fmt ./...
# Minutes to hours: FUZZTIME=10m make fuzz
fuzz: ; ./tools/fuzz.sh $${FUZZTIME:-5m}
bench: ; go test -run '^$$' -bench . -count 5 ./...
psplib: ; LEITSTAND_LONG=1 go test ./pure/schedule -timeout 4h -run TestPSPLIBFull
# What 1 s and 10 s reach for 30 instances, and schedules per second.
psplib-seconds: ; LEITSTAND_LONG=1 go test ./pure/schedule -timeout 1h -count=1 -v -run TestPSPLIBSecondsLong
	go test ./pure/schedule -run "^$$" -bench Schedules
# Two gateway nodes on PostgreSQL (PGDSN), one cut off at random, 200 changes of the writing side: about 3 minutes.
two-nodes: ; LEITSTAND_LONG=1 go test ./room -count=1 -timeout 20m -run TwoNodes -v
# The program of an earlier commit and today's, as two nodes on one PostgreSQL room under load: about 2 minutes.
# COMMIT=… for another one than the last before a schema changed.
neighbours: ; LEITSTAND_LONG=1 LEITSTAND_NEIGHBOUR=$(COMMIT) go test ./cmd/leitstand -count=1 -timeout 20m -run TestLongNeighbours -v
gateway-bench: ; LEITSTAND_LONG=1 go test ./gateway -count=1 -run TestLong -v
# Copying and restoring one Kasse and all with 1 GB of items.
backup-bench: ; LEITSTAND_LONG=1 go test ./room -count=1 -run TestLongBackup -v
# Backup, restore, take-over, the change of both keys and the continuous copy from PostgreSQL killed at random steps, 20 rounds: minutes.
kills: ; LEITSTAND_LONG=1 go test ./cmd/leitstand -count=1 -timeout 60m -run 'TestKeepingARoomIsKilled|TestAServerThatIsKilled' -v
# A million items accepted, handed over, reconciled and verified (minutes, 10 GB); drain beside the fastest intake.
million: ; LEITSTAND_LONG=1 go test ./emergency -count=1 -timeout 90m -run 'TestLongHandoverOfManyItems|TestLongDrainBesideIntake' -v
# Everything that is too long for check: all PSPLIB instances, all mutants by the second engine, load.
long: ; LEITSTAND_LONG=1 go test -timeout 4h -run 'Full|Long' ./...
# 40,000 sick notes through 80 mailboxes, and 2,000 encrypted ones: rates, stages, ratio to a bare insert.
sicknote-load: ; LEITSTAND_LONG=1 go test ./emergency/sicknote -timeout 60m -count=1 -run TestLongLoad -v
# After a change of a schema: keep a room of the program before it (COMMIT), which must open for ever, and note the new steps.
old-room: ; ./tools/oldroom.sh $${COMMIT:?the last commit before the change} room/testdata/old/$${NAME:?number and commit, such as 06-1a4ea88}.tgz
	go test ./room -run StepsThatRooms -update-steps
# Three workers on a log bus, killed between any two durable steps, 60,000 lines; one of three servers killed: about 5 minutes.
bus: ; LEITSTAND_LONG=1 go test ./warning/logbus -count=1 -timeout 30m -v
# Other Sigma engines, in Go and (with cargo) Rust, on the same events: DETECT=folder with rules and event logs.
peers: ; cd bench/peers && GOMAXPROCS=1 go run . $(abspath $(DETECT))/sigmahq-rules.zip $(abspath $(DETECT))
