#!/usr/bin/env bash
# What an answer costs: plexdns beside other name servers, and beside a bare echo.
#
# All of them serve the same zone on loopback: a main name that leads to two nodes, the nodes' names, some more. They
# are asked the same mixed questions, in packets that differ as real ones do: with EDNS and without, some with DO,
# letters of both cases, for names and types that are there and for others. Each is told to do plexdns's job as well
# as its configuration can, and is checked to answer rightly before anything is measured.
#
#   usage: e2e/bench/dns.sh [-h] [SERVER...]
#
# SERVER is one of these; all of them by default, but for those whose program is not there:
#
#   plexdns      health by probes, two views, metrics that are scraped each 2 s, and a status page that is open
#   plexdns-off  the same with `lane off`: CoreDNS's own sockets and chain
#   coredns      plugins file and view, with metrics, by the same program: CoreDNS as it is released is this code
#                with more plugins, and takes minutes to build
#   gdnsd        health by the same probes (http_status and multifo); it has no views
#   pdns         PowerDNS with LUA records (ifurlup), the same probes; its packet cache is as it comes
#   nsd, knot    fixed answers
#   bind         fixed answers, two views
#   echo-c       sends each datagram back, one system call for each: the floor. Needs cc
#   echo-go      the same in Go
#
# Servers share core 0, each with a thread to answer as far as it can be told, and dnsperf has core 1. They take turns
# at going first. The table has medians over the rounds, the quartiles in brackets, and ratios of CPU in the same
# round. CPU is that of the process and its children, user and system, from /proc. Machines and their neighbours
# differ: trust the ratios. Where dnsperf is the slower one, queries per second say little, and CPU still does.
#
# Variables:
#   PLEXHA_BENCH_ROUNDS   rounds (5)
#   PLEXHA_BENCH_SECONDS  of load for each server and round (5)
#   PLEXHA_BENCH_PLEXDNS  the plexdns to measure; none: it builds one
#   CGO_ENABLED           of the programs that it builds (0, as they are released)
#
# It takes five minutes, and needs Go, dnsperf and two cores, but no network and no root. Numbers never make it fail,
# only programs that did not run and answers that were wrong.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SCRIPT=dns.sh
# shellcheck source=dns_common.sh
source e2e/bench/dns_common.sh

readonly ROUNDS=${PLEXHA_BENCH_ROUNDS:-5} SECONDS_EACH=${PLEXHA_BENCH_SECONDS:-5}
readonly SERVERS=(plexdns plexdns-off coredns gdnsd pdns nsd knot bind echo-c echo-go)
readonly NODES=2

# program prints what a server needs, and where Debian has it.
program() {
    case $1 in
    gdnsd) echo gdnsd gdnsd ;;
    pdns) echo pdns_server pdns-server pdns-backend-bind ;;
    nsd) echo nsd nsd ;;
    knot) echo knotd knot ;;
    bind) echo named bind9 ;;
    echo-c) echo cc gcc ;;
    esac
}

# choose sets RUNNING to those of the servers that can run.
choose() {
    local name tool package
    RUNNING=()
    for name; do
        read -r tool package < <(program "$name") || true
        if [[ -n ${tool:-} ]] && ! PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null; then
            echo "$SCRIPT: $name is left out: $tool not found. On Debian: RUNLEVEL=1 apt-get install $package" >&2
        else
            RUNNING+=("$name")
        fi
    done
}

prepare() {
    local name
    ports nodes "${SERVERS[@]}" plexdns{,-off}.{status,metrics} coredns.metrics
    bench_zone internal
    bench_zone external -outside
    "$DIR/bin/bench" zone -nodes "$NODES" -static >"$DIR/statics"
    "$DIR/bin/bench" questions -nodes "$NODES" >"$DIR/questions"
    for name in "${RUNNING[@]}"; do
        case $name in
        plexdns) config_plexdns plexdns 'lane on' ;;
        plexdns-off) config_plexdns plexdns-off 'lane off' ;;
        echo-c) config_echo_c ;;
        echo-go) ;;
        *) mkdir "$DIR/$name" && "config_$name" ;;
        esac
    done
}

# bench_zone VIEW ARGUMENT... writes a view's zone.
bench_zone() {
    local view=$1
    shift
    "$DIR/bin/bench" zone -nodes "$NODES" "$@" >"$DIR/$view.zone"
}

# without_main prints the internal zone without the addresses of the main name and the apex.
without_main() { sed -E '/^(@|plex) A /d' "$DIR/internal.zone"; }

config_plexdns() {
    local lines
    mapfile -t lines < <(node_lines "$NODES")
    cp "$DIR/statics" "$DIR/$1.statics"
    mkdir "$DIR/$1.state"
    plexdns_corefile "$1" "$2" 'answer nodes all' "${lines[@]}"
}

config_coredns() {
    local metrics=127.0.0.1:${PORT[coredns.metrics]}
    cat >"$DIR/coredns/Corefile" <<END
$ZONE:${PORT[coredns]} {
    bind 127.0.0.1
    view internal {
        expr incidr(client_ip(), '127.0.0.0/8') && !incidr(client_ip(), '127.9.9.0/24')
    }
    errors
    prometheus $metrics
    file $DIR/internal.zone
}
$ZONE:${PORT[coredns]} {
    bind 127.0.0.1
    errors
    prometheus $metrics
    file $DIR/external.zone
}
END
}

config_gdnsd() {
    local i addrs=''
    for ((i = 0; i < NODES; i++)); do addrs+="plex$((i + 1)) => 127.1.0.$((i + 1)), "; done
    mkdir "$DIR/gdnsd/zones" "$DIR/gdnsd/run" "$DIR/gdnsd/state"
    cat >"$DIR/gdnsd/config" <<END
options => {
    listen => 127.0.0.1:${PORT[gdnsd]}
    run_dir => $DIR/gdnsd/run
    state_dir => $DIR/gdnsd/state
    udp_threads => 1
    tcp_threads => 1
}
service_types => {
    node => {
        plugin => http_status, port => ${PORT[nodes]}, url_path => /identity
        interval => 2, timeout => 1, up_thresh => 2, down_thresh => 2, ok_thresh => 1
    }
}
plugins => { multifo => { service_types => node, plex => { $addrs } } }
END
    {
        without_main
        printf '%s DYNA multifo!plex\n' @ plex
    } >"$DIR/gdnsd/zones/$ZONE"
}

config_pdns() {
    local i nodes=''
    for ((i = 0; i < NODES; i++)); do nodes+="'127.1.0.$((i + 1))',"; done
    cat >"$DIR/pdns/pdns.conf" <<END
launch=bind
bind-config=$DIR/pdns/named.conf
enable-lua-records=shared
lua-health-checks-interval=2
lua-health-checks-expire-delay=3600
local-address=127.0.0.1
local-port=${PORT[pdns]}
socket-dir=$DIR/pdns
daemon=no
guardian=no
setuid=
setgid=
receiver-threads=1
distributor-threads=1
security-poll-suffix=
END
    echo "zone \"$ZONE\" { type native; file \"$DIR/pdns/zone\"; };" >"$DIR/pdns/named.conf"
    {
        without_main
        printf "%s LUA A \"ifurlup('http://node:${PORT[nodes]}/identity', {{${nodes%,}}}, {selector='all'})\"\n" @ plex
    } >"$DIR/pdns/zone"
}

config_nsd() {
    cat >"$DIR/nsd/nsd.conf" <<END
server:
    server-count: 1
    ip-address: 127.0.0.1@${PORT[nsd]}
    username: ""
    chroot: ""
    zonesdir: "$DIR"
    pidfile: ""
    database: ""
    zonelistfile: "$DIR/nsd/zone.list"
    xfrdfile: "$DIR/nsd/xfrd.state"
    cookie-secret-file: "$DIR/nsd/cookies"
    xfrdir: "$DIR/nsd"
    rrl-ratelimit: 0
    round-robin: yes
remote-control:
    control-enable: no
zone:
    name: "$ZONE"
    zonefile: "internal.zone"
END
}

config_knot() {
    cat >"$DIR/knot/knot.conf" <<END
server:
    rundir: $DIR/knot
    listen: 127.0.0.1@${PORT[knot]}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    answer-rotation: on
database:
    storage: $DIR/knot
zone:
  - domain: $ZONE
    file: $DIR/internal.zone
    zonefile-sync: -1
END
}

config_bind() {
    cat >"$DIR/bind/named.conf" <<END
options {
    directory "$DIR/bind";
    pid-file none;
    session-keyfile none;
    listen-on port ${PORT[bind]} { 127.0.0.1; };
    listen-on-v6 { none; };
    recursion no;
    minimal-responses yes;
    dnssec-validation no;
    querylog no;
    max-cache-size 16M;
};
controls { };
acl outside { 127.9.9.0/24; };
view internal {
    match-clients { !outside; 127.0.0.0/8; };
    zone "$ZONE" { type primary; file "$DIR/internal.zone"; };
};
view external {
    match-clients { any; };
    zone "$ZONE" { type primary; file "$DIR/external.zone"; };
};
END
}

# The floor answers nothing: it turns a question into what looks like an answer, and sends it back.
config_echo_c() {
    cat >"$DIR/echo.c" <<'END'
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1])), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned char packet[4096];
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at)) return 1;
    for (;;) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &size);
        if (n < 12) continue;
        packet[2] |= 0x84; /* an answer, authoritative */
        sendto(fd, packet, n, 0, (struct sockaddr *)&from, size);
    }
}
END
    cc -O2 -o "$DIR/bin/echo-c" "$DIR/echo.c"
}

# launch starts a server.
launch() {
    local port=${PORT[$1]}
    case $1 in
    plexdns*) start "$1" "$DIR/bin/plexdns" -conf "$DIR/$1.corefile" ;;
    coredns) start coredns "$DIR/bin/plexdns" -conf "$DIR/coredns/Corefile" ;;
    gdnsd) start gdnsd gdnsd -c "$DIR/gdnsd" start ;;
    pdns) start pdns pdns_server --config-dir="$DIR/pdns" ;;
    nsd) start nsd nsd -d -c "$DIR/nsd/nsd.conf" ;;
    knot) start knot knotd -c "$DIR/knot/knot.conf" ;;
    bind) start bind named -g -n 1 -c "$DIR/bind/named.conf" ;;
    echo-c) start echo-c "$DIR/bin/echo-c" "$port" ;;
    echo-go) start echo-go "$DIR/bin/bench" echo "127.0.0.1:$port" ;;
    esac
}

# right checks a server's answers, in all views that it has.
right() {
    case $1 in
    echo-*) sleep 0.2 && lives "$1" ;; # nothing that it says is right
    plexdns* | coredns | bind)
        ready "$1" -nodes "$NODES"
        ready "$1" -nodes "$NODES" -outside -from 127.9.9.9
        ;;
    *) ready "$1" -nodes "$NODES" ;;
    esac
}

# look has a plexdns scraped and shown, as it is in life.
look() {
    case $1 in
    plexdns*) beside "$1.watch" "$DIR/bin/bench" watch "127.0.0.1:${PORT[$1.metrics]}" "127.0.0.1:${PORT[$1.status]}" ;;
    esac
}

# load ROUND SERVER measures a server.
load() {
    local before after words lost answered micros
    before=$(cpu "$2")
    words=$(taskset -c "$CLIENT_CORE" dnsperf -B -d "$DIR/questions" -s 127.0.0.1 -p "${PORT[$2]}" -c 16 -q 128 -T 1 -t 2 -l "$SECONDS_EACH" -W 2>&1) ||
        die "dnsperf has failed: $words"
    after=$(cpu "$2")
    lives "$2"
    answered=$(awk '/Queries completed:/ { print $3 }' <<<"$words")
    lost=$(awk '/Queries lost:/ { print $3 }' <<<"$words")
    micros=$(awk '/Run time \(s\):/ { printf "%.0f", $4 * 1e6 }' <<<"$words")
    ((answered > 0)) || die "$2 has answered nothing: $words"
    sample dns 'mixed questions' "$1" "$2" "$answered" "$micros" "$((after - before))" "$(memory "$2")" "$lost"
}

main() {
    if [[ ${1:-} == -h ]]; then
        usage
        exit
    fi
    local name round i
    for name; do
        [[ " ${SERVERS[*]} " == *" $name "* ]] || die "no server $name: there are ${SERVERS[*]}"
    done
    command -v dnsperf >/dev/null || die "dnsperf not found. On Debian: apt-get install dnsperf"
    PATH=$PATH:/usr/sbin
    if (($#)); then choose "$@"; else choose "${SERVERS[@]}"; fi
    begin
    prepare
    beside nodes "$DIR/bin/bench" nodes -nodes "$NODES" -port "${PORT[nodes]}"
    for name in "${RUNNING[@]}"; do launch "$name"; done
    for name in "${RUNNING[@]}"; do
        right "$name"
        look "$name"
    done
    for ((round = 0; round < ROUNDS; round++)); do
        for ((i = 0; i < ${#RUNNING[@]}; i++)); do load "$round" "${RUNNING[(i + round) % ${#RUNNING[@]}]}"; done
        echo "round $((round + 1)) of $ROUNDS" >&2
    done
    for name in "${RUNNING[@]}"; do right "$name"; done
    machine
    "$DIR/bin/bench" table "$DIR/samples"
}

main "$@"
