#!/usr/bin/env bash
# Whether plexdns answers everything, and rightly, while everything changes: at full speed, with a node that goes down
# and up, a configuration that is reloaded, metrics that are scraped and a status page that is open.
#
# Each answer is judged: it must be the right one for its question, of one moment (the node is in it or not, its
# records are alike), and no older than what anybody had been answered before the question was sent (its serial).
#
#   usage: e2e/bench/dns_soak.sh [-h]
#
# It prints memory as time goes, and in the end what was asked, lost and wrong; what the kernel has dropped, because a
# socket was full, the server's or the client's, is counted apart; and how memory went. It fails if an answer is
# wrong, or one more is lost than the kernel says.
#
# Variables:
#   PLEXHA_BENCH_SECONDS  how long (600)
#   PLEXHA_BENCH_RELOAD   seconds between reloads (5)
#   PLEXHA_BENCH_FLAP     how long the node stays down or up (1s)
#   PLEXHA_BENCH_LANE     `on` or `off` (on)
#   PLEXHA_BENCH_PLEXDNS  the plexdns to measure; none: it builds one
#   CGO_ENABLED           of the programs that it builds (0, as they are released)
#
# It needs Go and two cores, but no network. Root has it in a network namespace, where nobody else's packets are
# counted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SCRIPT=dns_soak.sh
# shellcheck source=dns_common.sh
source e2e/bench/dns_common.sh

readonly LASTS=${PLEXHA_BENCH_SECONDS:-600} RELOAD=${PLEXHA_BENCH_RELOAD:-5} FLAP=${PLEXHA_BENCH_FLAP:-1s}
readonly LANE=${PLEXHA_BENCH_LANE:-on}
readonly HOME_FLAGS=(-nodes 2 -flapping 1)

# configure writes the Corefile, which differs from one time to the next.
configure() {
    local lines
    mapfile -t lines < <(node_lines 2)
    plexdns_corefile plexdns "lane $LANE" 'answer nodes all' 'interval 250ms' 'timeout 200ms' 'rise 1' 'fall 1' \
        "negative $((9 + $1 % 2))s" "${lines[@]}"
}

# changes reloads, and prints memory, until the load is over. It leaves the number of reloads in RELOADS.
changes() {
    local begun=$SECONDS now next_reload=$RELOAD next_look=0 every=$((LASTS < 60 ? 1 : 10))
    RELOADS=0
    while kill -0 "${PID[load]}" 2>/dev/null; do
        now=$((SECONDS - begun))
        if ((now >= next_look)); then
            lives plexdns
            printf '%d %d\n' "$now" "$(memory plexdns)" | tee -a "$DIR/memory" |
                awk '{ printf "%4d s %8.1f MiB\n", $1, $2 / 1024 }' >&2
            next_look=$((now + every))
        fi
        if ((now >= next_reload && now < LASTS - 1)); then
            RELOADS=$((RELOADS + 1))
            configure "$RELOADS"
            kill -USR1 "${PID[plexdns]}"
            next_reload=$((now + RELOAD))
        fi
        sleep 0.2
    done
}

# report prints what has become of it all.
report() {
    local sent answered lost wrong late changes micros gone=$1 done
    read -r sent answered lost wrong late changes micros < <(sed -n 's/^measured //p' "$DIR/load.out") || die "nothing was measured: $(cat "$DIR/load.log")"
    done=$(grep -c 'Reloading complete' "$DIR/plexdns.log" || true)
    cat "$DIR/load.log"
    machine
    echo "lane $LANE: $sent asked in $((micros / 1000000)) s, $((sent * 1000 / (micros / 1000))) a second; $answered answered, $lost lost, $wrong wrong, $late late"
    echo "the kernel has dropped $gone; the server's sockets say $(drops plexdns)"
    echo "the main name has changed $changes times; $done of $RELOADS reloads are done"
    "$DIR/bin/bench" trend "$DIR/memory"
    ((wrong == 0 && lost <= gone && done == RELOADS && changes > 0)) || die "that is not right: $(tail -n 5 "$DIR/plexdns.log")"
}

main() {
    if [[ ${1:-} == -h ]]; then
        usage
        exit
    fi
    (($# == 0)) || die "no argument is known but -h"
    if ((EUID == 0)) && [[ -z ${PLEXHA_BENCH_INSIDE:-} ]]; then
        PLEXHA_BENCH_INSIDE=1 exec unshare --net bash -c 'ip link set lo up && exec "$0"' "$PWD/e2e/bench/$SCRIPT"
    fi
    begin
    ports nodes plexdns plexdns.status plexdns.metrics
    mkdir "$DIR/plexdns.state"
    "$DIR/bin/bench" zone "${HOME_FLAGS[@]}" -static >"$DIR/plexdns.statics"
    configure 0
    beside nodes "$DIR/bin/bench" nodes "${HOME_FLAGS[@]}" -port "${PORT[nodes]}" -every "$FLAP"
    start plexdns "$DIR/bin/plexdns" -conf "$DIR/plexdns.corefile"
    ready plexdns "${HOME_FLAGS[@]}"
    beside watch "$DIR/bin/bench" watch "127.0.0.1:${PORT[plexdns.metrics]}" "127.0.0.1:${PORT[plexdns.status]}"
    local before
    before=$(dropped)
    ask load "${HOME_FLAGS[@]}" -seconds "$LASTS" "127.0.0.1:${PORT[plexdns]}" >"$DIR/load.out" 2>"$DIR/load.log" &
    PID[load]=$!
    changes
    wait "${PID[load]}" || die "the load has failed: $(cat "$DIR/load.log")"
    unset "PID[load]"
    report $(($(dropped) - before))
}

main "$@"
