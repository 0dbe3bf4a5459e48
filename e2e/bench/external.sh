#!/usr/bin/env bash
# What it costs to know the external address and to tell DuckDNS, while nothing changes: packets, bytes, CPU and
# memory of plexdns, without either, with the default set of sources, and with DuckDNS as well.
#
# Each plexdns is alone in a network namespace, behind one cable whose packets are counted; at its other end are
# stand-ins for the echoes, the router and DuckDNS. Its node is not probed, since that would cost more than all of
# this. All intervals are the real ones.
#
#   usage: e2e/bench/external.sh [-h]
#
# It prints a table: what an hour costs, scaled from the minutes that were measured; what one round of all sources
# costs, of which there is one an hour and some when an address changes; and the memory (Pss). What happens seldom
# comes on top: a round of all each hour, a push each day.
#
# Variables:
#   PLEXHA_BENCH_SECONDS  of measuring, after the first pushes and looks are over (600)
#   PLEXHA_BENCH_SETTLE   seconds until they are (150)
#   PLEXHA_BENCH_PLEXDNS  the plexdns to measure; none: it builds one
#   CGO_ENABLED           of the programs that it builds (0, as they are released)
#
# It takes a quarter of an hour, and needs Go, root, ip and curl, but no network.
#
# Numbers never make it fail, only programs that did not run, or did not do what is measured.
#
# Expected: an hour of detection is 750 packets, 140 KB and a third of a second of CPU, DuckDNS 100 packets and 10 KB
# more, a round of all 80 packets and 21 KB. Both take 3.5 MB of memory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=build.sh
source e2e/bench/build.sh

readonly SECONDS_EACH=${PLEXHA_BENCH_SECONDS:-600} SETTLE=${PLEXHA_BENCH_SETTLE:-150}
readonly VARIANTS=(without detection duckdns)
readonly HERE=198.18.0.1 THERE=198.18.0.2
# Counters of the cable, in both directions.
readonly COUNTERS=(rx_packets tx_packets rx_bytes tx_bytes)

DIR=
declare -A PID BEFORE

die() {
    echo "external.sh: $*" >&2
    exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' e2e/bench/external.sh; }

need() {
    local tool
    ((EUID == 0)) || die "needs root, for network namespaces"
    for tool in go ip curl; do command -v "$tool" >/dev/null || die "$tool not found. On Debian: apt-get install iproute2 curl"; done
}

# space prints the name of a variant's network namespace: here or there.
space() { echo "plexha-bench-$$-$1-$2"; }

# lay makes a variant's namespaces and the cable. IPv6 is off: its neighbour discovery is not ours.
lay() {
    local here there
    here=$(space "$1" here) there=$(space "$1" there)
    ip netns add "$here"
    ip netns add "$there"
    ip netns exec "$here" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip netns exec "$there" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip -n "$here" link add cable type veth peer name cable netns "$there"
    ip -n "$here" addr add "$HERE/30" dev cable
    ip -n "$there" addr add "$THERE/30" dev cable
    local ns
    for ns in "$here" "$there"; do
        ip -n "$ns" link set lo up
        ip -n "$ns" link set cable up
    done
    ip -n "$here" route add default via "$THERE"
}

# corefile VARIANT writes its Corefile.
corefile() {
    local lines=''
    case $1 in
    without) lines='uplink wan 203.0.113.7' ;;
    detection) lines="uplink wan auto"$'\n'"$(grep '^detect' "$DIR/$1.world")" ;;
    duckdns) lines="uplink wan auto"$'\n'"$(grep -v '^#' "$DIR/$1.world")" ;;
    esac
    cat >"$DIR/$1.corefile" <<END
home.duckdns.org:5300 {
    bind 127.0.0.1
    errors
    plex {
        node plex1 127.0.0.1:9
        probe none
        tls off
        internal 127.0.0.0/8
        state $DIR/$1.state
        $lines
    }
}
END
}

# start starts a variant's world and its plexdns.
start() {
    local i
    mkdir "$DIR/$1.state"
    : >"$DIR/$1.world"
    ip netns exec "$(space "$1" there)" "$DIR/bin/bench" world "$THERE" "$DIR/$1.pem" >"$DIR/$1.world" 2>"$DIR/$1.world.log" &
    PID[$1.world]=$!
    for ((i = 0; i < 100; i++)); do
        ! grep -q '^# ready' "$DIR/$1.world" || break
        sleep 0.1
    done
    ((i < 100)) || die "the world of $1 does not run: $(cat "$DIR/$1.world.log")"
    corefile "$1"
    SSL_CERT_FILE=$DIR/$1.pem ip netns exec "$(space "$1" here)" "$DIR/bin/plexdns" -conf "$DIR/$1.corefile" >"$DIR/$1.log" 2>&1 &
    PID[$1]=$!
}

# ask VARIANT PATH [ARGUMENT...] speaks with its plexdns.
ask() {
    local variant=$1 path=$2
    shift 2
    curl -sSf --unix-socket "$DIR/$variant.state/plexdns.sock" "$@" "http://plexdns$path"
}

# ready fails unless each variant does what it is here for.
ready() {
    local v
    for v in "${VARIANTS[@]}"; do
        kill -0 "${PID[$v]}" 2>/dev/null || die "plexdns $v has ended: $(tail -n 5 "$DIR/$v.log")"
    done
    # Not grep -q: it would end before curl has written everything.
    for v in detection duckdns; do
        ask "$v" /status.json | grep '"confirmed"' >/dev/null || die "plexdns $v has found no address: $(cat "$DIR/$v.log")"
    done
    ask duckdns /status.json | grep '"view": *"verified"' >/dev/null || die "DuckDNS's record is not verified: $(cat "$DIR/duckdns.log")"
}

# cpu prints the nanoseconds of CPU that a process has had, from the scheduler, which counts more finely than
# stat does.
cpu() { cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }

# memory prints a process's Pss in KiB.
memory() { awk '$1 == "Pss:" { print $2 }' "/proc/$1/smaps_rollup"; }

# traffic prints the packets and bytes that have gone over a variant's cable.
traffic() {
    local c
    for c in "${COUNTERS[@]}"; do
        ip netns exec "$(space "$1" here)" cat "/sys/class/net/cable/statistics/$c"
    done | awk 'NR <= 2 { packets += $1 } NR > 2 { bytes += $1 } END { print packets, bytes }'
}

# used prints packets, bytes and nanoseconds until now.
used() { echo "$(traffic "$1") $(cpu "${PID[$1]}")"; }

# difference BEFORE AFTER SCALE prints what lies between, times SCALE; CPU in ms.
difference() {
    awk -v before="$1" -v after="$2" -v scale="$3" 'BEGIN {
        split(before, b); split(after, a)
        printf "%10.0f %12.0f %12.1f", (a[1] - b[1]) * scale, (a[2] - b[2]) * scale, (a[3] - b[3]) * scale / 1e6
    }'
}

# round prints what one round of all sources costs. ARP stays out of it: the cable has just been used.
round() {
    local before after
    before=$(used detection)
    ask detection /detect -X POST >/dev/null
    sleep 4
    after=$(used detection)
    difference "$before" "$after" 1
}

cleanup() {
    local name
    for name in "${!PID[@]}"; do
        kill "${PID[$name]}" 2>/dev/null || true
        wait "${PID[$name]}" 2>/dev/null || true
    done
    for name in "${VARIANTS[@]}"; do
        ip netns del "$(space "$name" here)" 2>/dev/null || true
        ip netns del "$(space "$name" there)" 2>/dev/null || true
    done
    [[ -z $DIR ]] || rm -rf "$DIR"
}

main() {
    if [[ ${1:-} == -h ]]; then
        usage
        exit
    fi
    (($# == 0)) || die "no argument is known but -h"
    need
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    DIR=$(mktemp -d)
    go build -o "$DIR/bin/bench" ./e2e/bench
    provide plexdns "${PLEXHA_BENCH_PLEXDNS:-}" ./cmd/plexdns
    local v
    for v in "${VARIANTS[@]}"; do
        lay "$v"
        start "$v"
    done
    sleep "$SETTLE"
    ready
    for v in "${VARIANTS[@]}"; do BEFORE[$v]=$(used "$v"); done
    sleep "$SECONDS_EACH"
    printf '%-22s %10s %12s %12s %12s\n' '' packets bytes 'CPU (ms)' 'Pss (KiB)'
    local scale
    scale=$(awk -v s="$SECONDS_EACH" 'BEGIN { print 3600 / s }')
    for v in "${VARIANTS[@]}"; do
        printf '%-22s %s %12d\n' "an hour, $v" "$(difference "${BEFORE[$v]}" "$(used "$v")" "$scale")" "$(memory "${PID[$v]}")"
    done
    ready
    printf '%-22s %s\n' 'a round of all' "$(round)"
}

main "$@"
