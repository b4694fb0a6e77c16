#!/usr/bin/env bash
# oldroom.sh COMMIT FILE.tgz: builds the program as it was at that commit, plays a
# short emergency with it in a practice room, and keeps the room. Tests open it with
# the program of today: whoever changes a schema runs it once for the commit before.
set -euo pipefail
commit=$1
file=$(realpath -m "$2")
cd "$(dirname "$0")/.."
repo=$PWD
work=$(mktemp -d)
trap 'git -C "$repo" worktree remove --force "$work/tree"; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/tree" "$commit"
(cd "$work/tree" && CGO_ENABLED=0 go build -trimpath -o "$work/leitstand" ./cmd/leitstand)

cd "$work"
export LEITSTAND_DATA=$work/room
./leitstand init --example >/dev/null
consent() { "$@" | grep -o 'approve c-[^ ]*' | head -n 1 | cut -d' ' -f2; }
c=$(consent ./leitstand measure order --environment 109900019@nord --emergency eau --reason Verdacht --as lead)
./leitstand approve "$c" --as operator >/dev/null
./leitstand emergency closed 109900019/eau/nord --probe "keine Antwort" --as operator >/dev/null
cat >room/connections.json <<'JSON'
{"mailboxes":[{"kasse":"109900019","placement":"109900019/eau/nord","address":"eau@kasse.example","pop3":"127.0.0.1:1","security":"plain","user":"u","password":"p"}],"regular":[]}
JSON
for n in 1 2 3; do
	printf 'From: praxis%s@kim.example\nSubject: Mitteilung %s\n\nkein Dokument\n' $n $n >mail$n.eml
	./leitstand sicknote import 109900019 "$work/mail$n.eml" --as operator >/dev/null
done
rm room/connections.json
./leitstand ledger verify --state | grep -q ' 0 problems'
rm -f room/lock room/*.db-wal room/*.db-shm
mkdir -p "$(dirname "$file")"
tar --sort=name --owner=0 --group=0 --numeric-owner -C "$work" -cf - room | gzip -9n >"$file"
echo "$file: $(stat -c %s "$file") bytes"
