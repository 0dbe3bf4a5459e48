#!/usr/bin/env bash
# What it costs to copy a library of many small files: plexctl share apply beside cp -a and rsync -aH.
#
# All of them copy the same folder on the same file system. plexctl runs as a person has it run, with a Corefile, and
# does more than the others: it reads the tree first, keeps a journal, reads again what it has written and compares it,
# and has all of it on the disk when it ends. cp and rsync have it in memory then: so their time is told twice, until
# they end, and until the file system is on the disk (sync -f).
#
#   usage: e2e/bench/share.sh [-h]
#
# It prints a table: medians over the rounds, the quartiles in brackets, and ratios to cp of the same round. Memory is
# the most that a process had (the resident set; of cp, no less than the 10 MB of who starts it). Disks and their
# neighbours differ: trust the ratios. Numbers never make it fail, only programs that did not run, and a copy that is
# not like its original.
#
# Variables:
#   PLEXHA_BENCH_ROUNDS   rounds; the tools take turns at going first (3)
#   PLEXHA_BENCH_FILES    in the library (100000)
#   PLEXHA_BENCH_DIR      a folder on the file system to measure (/var/tmp)
#   PLEXHA_BENCH_PLEXCTL  the plexctl to measure; none: it builds one
#   CGO_ENABLED           of the programs that it builds (0, as they are released)
#
# It takes two minutes, and for each round and tool 0.5 GB and 130,000 inodes of the disk: what was copied stays until
# the end, since ext4 passes over each inode that was freed in the last five minutes, whenever it looks for one, which
# costs ten times the copy. So wait for six minutes before another run. It needs Go, but no network and no root.
#
# Expected: 1.3 times cp -a on ext4, and as long once both are on the disk; 1.2 to 1.5 times on tmpfs; 51 MiB.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=build.sh
source e2e/bench/build.sh

readonly ROUNDS=${PLEXHA_BENCH_ROUNDS:-3} FILES=${PLEXHA_BENCH_FILES:-100000}
readonly LIBRARY="Library/Application Support/Plex Media Server"

DIR=
TOOLS=(share cp)

die() {
    echo "share.sh: $*" >&2
    exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' e2e/bench/share.sh; }

# build makes the programs.
build() {
    mkdir "$DIR/bin"
    go build -o "$DIR/bin/bench" ./e2e/bench
    provide plexctl "${PLEXHA_BENCH_PLEXCTL:-}" ./cmd/plexctl -tags nobadger,nomysql,nopgx
}

# prepare makes a node with its library, and its Corefile. Nobody listens at the node's port: its server is stopped.
prepare() {
    local port
    port=$("$DIR/bin/bench" ports 1)
    cat >"$DIR/Corefile" <<END
home.duckdns.org {
    plex {
        node plex1 127.0.0.1:$port
    }
}
END
    mkdir -p "$DIR/plex1/$LIBRARY"
    echo '<Preferences/>' >"$DIR/plex1/$LIBRARY/Preferences.xml"
    "$DIR/bin/bench" library -files "$FILES" "$DIR/plex1/$LIBRARY/Metadata"
}

# ran ROUND TOOL COMMAND... runs a copy, and takes down what it has cost.
ran() {
    local round=$1 tool=$2 words
    shift 2
    sync -f "$DIR"
    words=$("$DIR/bin/bench" ran -sync "$DIR" "$@" 2>"$DIR/why") || die "$tool has failed: $(cat "$DIR/why")"
    printf 'share\t%s files\t%s\t%s\t%s\t%s\n' "$FILES" "$round" "$tool" "$FILES" "${words// /$'\t'}" >>"$DIR/samples"
}

# copy ROUND TOOL has a tool copy the library.
copy() {
    local to="$DIR/$2-$1" from="$DIR/plex1/$LIBRARY/Metadata" kept
    case $2 in
    cp) mkdir "$to" && ran "$1" "$2" cp -a "$from" "$to" ;;
    rsync) mkdir "$to" && ran "$1" "$2" rsync -aH "$from" "$to" ;;
    share)
        ran "$1" "$2" "$DIR/bin/plexctl" share apply -conf "$DIR/Corefile" -copy -stopped plex1 -node "plex1=$DIR/plex1" -into "$to"
        kept=("$from".pre-share-*)
        rmdir "$from"
        mv "${kept[0]}" "$from"
        ;;
    esac
    (($1)) || diff -r "$from" "$to/Metadata" || die "$2 has not copied all"
}

# machine prints what was measured on.
machine() {
    echo "$(date -u +%F), $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Linux $(uname -r), $(stat -f -c %T "$DIR")"
}

cleanup() { [[ -z $DIR ]] || rm -rf "$DIR"; }

main() {
    if [[ ${1:-} == -h ]]; then
        usage
        exit
    fi
    (($# == 0)) || die "no argument is known but -h"
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    DIR=$(mktemp -d -p "${PLEXHA_BENCH_DIR:-/var/tmp}")
    if command -v rsync >/dev/null; then
        TOOLS+=(rsync)
    else
        echo "rsync is not here to be measured. On Debian: apt-get install rsync" >&2
    fi
    build
    prepare
    local round i
    for ((round = 0; round < ROUNDS; round++)); do
        for ((i = 0; i < ${#TOOLS[@]}; i++)); do copy "$round" "${TOOLS[(i + round) % ${#TOOLS[@]}]}"; done
        echo "round $((round + 1)) of $ROUNDS" >&2
    done
    machine
    "$DIR/bin/bench" table "$DIR/samples"
}

main "$@"
