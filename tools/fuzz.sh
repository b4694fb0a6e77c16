#!/usr/bin/env bash
# fuzz.sh [TIME] [DIR…]: runs every fuzz target, of the repository or of the
# folders named, for the given time each. A finding fails, and names the file with
# the input; that the time ended does not.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}
dirs=("${@:2}")
[ ${#dirs[@]} -gt 0 ] || dirs=(.)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
targets=0
while read -r dir; do
	while read -r target; do
		targets=$((targets + 1))
		printf 'fuzz %s %s %s\n' "$dir" "$target" "$time"
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x -parallel 2 "$dir" >"$out" 2>&1; then
			# The Go tool reports the end of the time as a failure now and then.
			if grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input written' "$out"; then
				continue
			fi
			cat "$out"
			exit 1
		fi
	done < <(grep -rhoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/func //')
done < <(grep -rlE '^func Fuzz' --include='*_test.go' "${dirs[@]}" | xargs -n1 dirname | sort -u)
printf '%d fuzz targets, no finding\n' "$targets"
