#!/bin/sh
# Locks the Node functions of fixtures/fleet with npm and pnpm. Nothing is installed.
#
#   scripts/lock_fixtures_node.sh           keep what is locked, add what is missing
#   scripts/lock_fixtures_node.sh --fresh   resolve everything again
#   scripts/lock_fixtures_node.sh --check   exit 1 if a lock and its manifest no longer agree
#
# Needs npm 11 and pnpm 9 (`packageManager` in the pnpm folders names the version). Folders without a
# line here have no lock on purpose: they stand for functions that pin exactly, or not at all.
set -eu

fleet=$(cd "$(dirname "$0")/../fixtures/fleet" && pwd)
npm_folders="checkout media-node node-etl node-session web-catalog web-profile web-upload"
pnpm_folders="node-jobs node-queue-worker web-search"

mode=${1-keep}
case $mode in keep | --fresh | --check) ;; *) echo "usage: $0 [--fresh | --check]" >&2; exit 2 ;; esac

lock_npm() {
    # Without `resolved` the lock names no registry host, so it holds behind any mirror.
    npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved \
        --no-audit --no-fund --loglevel=error "$@"
    # npm copies each package's donation pages into the lock; a fixture needs none of those hosts.
    sed -i -E 's,https?://([a-z.]*\.)?(opencollective\.com|patreon\.com|feross\.org)/,https://registry.example/,' package-lock.json
}

for name in $npm_folders; do
    cd "$fleet/$name"
    case $mode in
    --check)
        before=$(cksum <package-lock.json)
        copy=$(mktemp -d)
        # The manifests of workspace members count too.
        find . -name node_modules -prune -o \( -name package.json -o -name package-lock.json \) -print |
            while read -r file; do mkdir -p "$copy/$(dirname "$file")"; cp "$file" "$copy/$file"; done
        (cd "$copy" && lock_npm >/dev/null)
        after=$(cksum <"$copy/package-lock.json")
        rm -r "$copy"
        [ "$before" = "$after" ] || { echo "$name: package-lock.json is stale" >&2; exit 1; }
        ;;
    *)
        [ "$mode" = --fresh ] && rm -f package-lock.json
        lock_npm >/dev/null
        ;;
    esac
    echo "$name: package-lock.json, $(grep -c '"node_modules/' package-lock.json) entries"
done

for name in $pnpm_folders; do
    cd "$fleet/$name"
    case $mode in
    --check) pnpm install --frozen-lockfile --lockfile-only --ignore-scripts --silent ||
        { echo "$name: pnpm-lock.yaml is stale" >&2; exit 1; } ;;
    *)
        [ "$mode" = --fresh ] && rm -f pnpm-lock.yaml
        pnpm install --lockfile-only --ignore-scripts --silent
        ;;
    esac
    echo "$name: pnpm-lock.yaml, $(sed -n '/^packages:/,/^snapshots:/p' pnpm-lock.yaml | grep -c '^  [^ ].*:$') packages"
done

cd "$fleet"
if grep -rlE --include=package-lock.json --include=pnpm-lock.yaml '"resolved": "https?:|tarball: https?:' .; then
    echo "a lock above names a host: set omit-lockfile-registry-resolved (npm) or use the default registry (pnpm)" >&2
    exit 1
fi
