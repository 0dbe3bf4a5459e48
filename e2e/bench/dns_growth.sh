#!/usr/bin/env bash
# How the cost of an answer grows: with nodes, with names, with pages that are open while a node flaps, with clients.
#
# For each size there is a plexdns on core 0; one at a time is asked by a client on core 1, as fast as it answers, and
# each answer is judged. What is not varied is small: 2 nodes, 10 names, no page, 1 client; nodes and clients are
# varied with one node for each client (`answer nodes spread`), from 1,000 clients and over 8 nodes.
#
#   usage: e2e/bench/dns_growth.sh [-h]
#
# It prints a table: medians over the rounds, the quartiles in brackets. Memory is what is there after the load.
#
# Variables:
#   PLEXHA_BENCH_ROUNDS   rounds (3)
#   PLEXHA_BENCH_SECONDS  of load for each size and round (3)
#   PLEXHA_BENCH_LANE     `on` or `off` (on)
#   PLEXHA_BENCH_PLEXDNS  the plexdns to measure; none: it builds one
#   CGO_ENABLED           of the programs that it builds (0, as they are released)
#
# It takes three minutes, and needs Go and two cores, but no network and no root. Numbers never make it fail, only
# programs that did not run and answers that were wrong.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SCRIPT=dns_growth.sh
# shellcheck source=dns_common.sh
source e2e/bench/dns_common.sh

readonly ROUNDS=${PLEXHA_BENCH_ROUNDS:-3} SECONDS_EACH=${PLEXHA_BENCH_SECONDS:-3}
readonly LANE=${PLEXHA_BENCH_LANE:-on}

# Rows: what grows, its size, nodes, names, pages that are open, clients, how the main name is answered.
readonly SIZES=(
    "nodes|1|1|10|0|1000|spread"
    "nodes|8|8|10|0|1000|spread"
    "nodes|64|64|10|0|1000|spread"
    "names|10|2|10|0|1|all"
    "names|1000|2|1000|0|1|all"
    "names|100000|2|100000|0|1|all"
    "pages|0|2|10|0|1|flaps"
    "pages|16|2|10|16|1|flaps"
    "pages|64|2|10|64|1|flaps"
    "clients|1|8|10|0|1|spread"
    "clients|1000|8|10|0|1000|spread"
    "clients|50000|8|10|0|50000|spread"
)

# flags NODES NAMES MODE sets FLAGS to what the helper is told of the zone.
flags() {
    FLAGS=(-nodes "$1" -names "$2")
    case $3 in
    spread) FLAGS+=(-spread) ;;
    flaps) FLAGS+=(-flapping 1) ;;
    esac
}

# prepare starts the plexdns of one size.
prepare() {
    local what size nodes names open clients mode lines
    IFS='|' read -r what size nodes names open clients mode <<<"$1"
    local name=$what-$size
    flags "$nodes" "$names" "$mode"
    mkdir "$DIR/$name.state"
    "$DIR/bin/bench" zone "${FLAGS[@]}" -static >"$DIR/$name.statics"
    case $mode in
    spread) mapfile -t lines < <(echo answer nodes spread && node_lines "$nodes") ;;
    all) mapfile -t lines < <(echo answer nodes all && node_lines "$nodes") ;;
    flaps) mapfile -t lines < <(printf '%s\n' 'answer nodes all' 'interval 250ms' 'timeout 200ms' 'rise 1' 'fall 1' && node_lines "$nodes" flapping) ;;
    esac
    plexdns_corefile "$name" "lane $LANE" "${lines[@]}"
    start "$name" "$DIR/bin/plexdns" -conf "$DIR/$name.corefile"
    ready "$name" "${FLAGS[@]}"
    beside "$name.watch" "$DIR/bin/bench" watch -open "$open" "127.0.0.1:${PORT[$name.metrics]}" "127.0.0.1:${PORT[$name.status]}"
}

# load ROUND SIZE measures one size.
load() {
    local what size nodes names open clients mode before words answered lost wrong micros
    IFS='|' read -r what size nodes names open clients mode <<<"$2"
    flags "$nodes" "$names" "$mode"
    before=$(cpu "$what-$size")
    words=$(ask load "${FLAGS[@]}" -clients "$clients" -seconds "$SECONDS_EACH" "127.0.0.1:${PORT[$what-$size]}") || die "the load has failed"
    lives "$what-$size"
    read -r _ _ answered lost wrong _ _ micros <<<"$words"
    ((wrong == 0 && answered > 0)) || die "$size $what: $wrong of $answered answers are wrong"
    sample growth "$what" "$1" "$size" "$answered" "$micros" $(($(cpu "$what-$size") - before)) "$(memory "$what-$size")" "$lost"
}

main() {
    if [[ ${1:-} == -h ]]; then
        usage
        exit
    fi
    (($# == 0)) || die "no argument is known but -h"
    begin
    local row what size names=() round i
    for row in "${SIZES[@]}"; do
        IFS='|' read -r what size _ <<<"$row"
        names+=("$what-$size" "$what-$size.status" "$what-$size.metrics")
    done
    ports nodes flapping "${names[@]}"
    beside nodes "$DIR/bin/bench" nodes -nodes 64 -port "${PORT[nodes]}"
    beside flapping "$DIR/bin/bench" nodes -flapping 1 -port "${PORT[flapping]}"
    for row in "${SIZES[@]}"; do prepare "$row"; done
    for ((round = 0; round < ROUNDS; round++)); do
        for ((i = 0; i < ${#SIZES[@]}; i++)); do load "$round" "${SIZES[(i + round) % ${#SIZES[@]}]}"; done
        echo "round $((round + 1)) of $ROUNDS" >&2
    done
    machine
    "$DIR/bin/bench" table "$DIR/samples"
}

main "$@"
