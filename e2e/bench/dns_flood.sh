#!/usr/bin/env bash
# Whether a flood keeps plexdns from its work: the rate at which it answers those who ask as they should, alone and
# beside a flood of names that nobody has, of packets that are no questions, and of questions from spoofed addresses.
#
# plexdns is in a network namespace, on core 0; who asks and who floods are in another one, on core 1, at the other end
# of a cable. The answers are those for clients outside, and each is judged.
#
#   usage: e2e/bench/dns_flood.sh [-h]
#
# It prints a table: questions answered in a second, as a share of what is answered alone; packets of the flood in a
# second; what the kernel has dropped at the server's sockets in a second, of both; memory before and after. It fails
# if an answer is wrong, less than half of the rate is left, plexdns has ended, or a flood has grown it by more than
# 32 MiB.
#
# Variables:
#   PLEXHA_BENCH_SECONDS  of each flood (10)
#   PLEXHA_BENCH_HOT      questions a second (40000)
#   PLEXHA_BENCH_FLOOD    packets of a flood a second (60000)
#   PLEXHA_BENCH_LANE     `on` or `off` (on)
#   PLEXHA_BENCH_PLEXDNS  the plexdns to measure; none: it builds one
#   CGO_ENABLED           of the programs that it builds (0, as they are released)
#
# It takes a minute, and needs Go, root, ip and two cores, but no network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SCRIPT=dns_flood.sh
# shellcheck source=dns_common.sh
source e2e/bench/dns_common.sh

readonly SECONDS_EACH=${PLEXHA_BENCH_SECONDS:-10} HOT=${PLEXHA_BENCH_HOT:-40000} FLOOD=${PLEXHA_BENCH_FLOOD:-60000}
readonly LANE=${PLEXHA_BENCH_LANE:-on}
readonly HERE=198.18.0.1 THERE=198.18.0.2 # of plexdns, and of the others
readonly AWAY=plexha-flood-$$             # the others' namespace; plexdns has that of this script
readonly MOST_GROWTH=$((32 << 10))        # KiB
ALONE= FAULTS=

# lay makes the others' namespace and the cable. Whoever is spoofed is behind it.
lay() {
    local i
    ip link set lo up
    ip netns add "$AWAY"
    trap 'ip netns del "$AWAY"; cleanup' EXIT
    ip link add cable type veth peer name cable netns "$AWAY"
    ip addr add "$HERE/30" dev cable
    ip -n "$AWAY" addr add "$THERE/30" dev cable
    ip link set cable up
    ip -n "$AWAY" link set lo up
    ip -n "$AWAY" link set cable up
    ip route add default via "$THERE"
    sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.cable.rp_filter=0
    for ((i = 0; i < 50; i++)); do
        ! ip netns exec "$AWAY" ping -c 1 -W 1 "$HERE" >/dev/null 2>&1 || return 0
    done
}

# away COMMAND... runs a command of the others.
away() { ip netns exec "$AWAY" taskset -c "$CLIENT_CORE" "$@"; }

# measure KIND asks, beside a flood if KIND is one, and prints a row.
measure() {
    local kind=$1 gone before hot cold=- packets micros
    gone=$(drops plexdns) before=$(memory plexdns)
    if [[ $kind != alone ]]; then
        away "$DIR/bin/bench" flood -seconds "$SECONDS_EACH" -rate "$FLOOD" "$kind" "$HERE:${PORT[plexdns]}" >"$DIR/flood.out" 2>&1 &
        PID[flood]=$!
    fi
    hot=$(away "$DIR/bin/bench" load -outside -from "$THERE" -seconds "$SECONDS_EACH" -rate "$HOT" -window 1024 -timeout 200ms \
        "$HERE:${PORT[plexdns]}") || die "the load has failed"
    if [[ $kind != alone ]]; then
        wait "${PID[flood]}" || die "the flood has failed: $(cat "$DIR/flood.out")"
        unset "PID[flood]"
        read -r packets micros < <(sed -n 's/^measured //p' "$DIR/flood.out")
        cold=$((packets * 1000 / (micros / 1000)))
    fi
    lives plexdns
    row "$kind" "$hot" "$cold" $((($(drops plexdns) - gone) / SECONDS_EACH)) "$before" "$(memory plexdns)"
}

# row KIND MEASURED FLOOD DROPS BEFORE AFTER prints one, and takes down in FAULTS what is not as it should be.
row() {
    local answered wrong micros rate
    read -r _ _ answered _ wrong _ _ micros <<<"$2"
    rate=$((answered * 1000 / (micros / 1000)))
    : "${ALONE:=$rate}"
    printf '%-10s %10d %6d%% %12s %10d %10d %10d\n' "$1" "$rate" $((rate * 100 / ALONE)) "$3" "$4" $(($5 / 1024)) $(($6 / 1024))
    ((wrong == 0)) || FAULTS+="; $1: $wrong answers are wrong"
    ((rate * 2 >= ALONE)) || FAULTS+="; $1: less than half of the rate is left"
    (($6 - $5 <= MOST_GROWTH)) || FAULTS+="; $1: plexdns has grown by more than $((MOST_GROWTH >> 10)) MiB"
}

main() {
    if [[ ${1:-} == -h ]]; then
        usage
        exit
    fi
    (($# == 0)) || die "no argument is known but -h"
    ((EUID == 0)) || die "needs root, for network namespaces"
    command -v ip >/dev/null || die "ip not found. On Debian: apt-get install iproute2"
    if [[ -z ${PLEXHA_BENCH_INSIDE:-} ]]; then
        PLEXHA_BENCH_INSIDE=1 exec unshare --net "$PWD/e2e/bench/$SCRIPT"
    fi
    begin
    lay
    ports nodes plexdns plexdns.status plexdns.metrics
    mkdir "$DIR/plexdns.state"
    "$DIR/bin/bench" zone -static >"$DIR/plexdns.statics"
    local kind lines
    mapfile -t lines < <(node_lines 2)
    BIND="127.0.0.1 $HERE" plexdns_corefile plexdns "lane $LANE" 'answer nodes all' "${lines[@]}"
    beside nodes "$DIR/bin/bench" nodes -port "${PORT[nodes]}"
    start plexdns "$DIR/bin/plexdns" -conf "$DIR/plexdns.corefile"
    ready plexdns
    beside watch "$DIR/bin/bench" watch "127.0.0.1:${PORT[plexdns.metrics]}" "127.0.0.1:${PORT[plexdns.status]}"
    machine
    printf '%-10s %10s %7s %12s %10s %10s %10s\n' "lane $LANE" answered/s share flood/s dropped/s 'MiB before' after
    for kind in alone random malformed spoofed; do measure "$kind"; done
    ready plexdns
    [[ -z $FAULTS ]] || die "${FAULTS#; }"
}

main "$@"
