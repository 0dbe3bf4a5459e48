# What the dns scripts share: to be sourced by them, from the top of the repository, with SCRIPT set to their name.
# They have plexdns and its nodes on loopback, servers on core 0, and who asks on core 1.
# shellcheck shell=bash

# shellcheck source=build.sh
source e2e/bench/build.sh
# shellcheck source=process.sh
source e2e/bench/process.sh

readonly ZONE=home.duckdns.org
readonly SERVER_CORE=0 CLIENT_CORE=1

DIR=
declare -A PORT PID

# die says why nothing was measured, and ends.
die() {
    echo "$SCRIPT: $*" >&2
    exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "e2e/bench/$SCRIPT"; }

# begin makes the folder that all is in, and has all that is started end with the script.
begin() {
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    DIR=$(mktemp -d)
    mkdir "$DIR/bin"
    ulimit -n "$(ulimit -Hn)"
    (($(nproc) > 1)) || die "needs two cores: one for servers, one for who asks"
    command -v taskset >/dev/null || die "taskset not found. On Debian: apt-get install util-linux"
    go build -o "$DIR/bin/bench" ./e2e/bench
    provide plexdns "${PLEXHA_BENCH_PLEXDNS:-}" ./cmd/plexdns
}

cleanup() {
    local name
    for name in "${!PID[@]}"; do stop "$name"; done
    [[ -z $DIR ]] || rm -rf "$DIR"
}

# ports NAME... finds a free port for each name.
ports() {
    local name found
    mapfile -t found < <("$DIR/bin/bench" ports $#)
    for name; do
        PORT[$name]=${found[0]}
        found=("${found[@]:1}")
    done
}

# start NAME COMMAND... starts a server on its core. Its words go to a file.
start() {
    local name=$1
    shift
    taskset -c "$SERVER_CORE" "$@" >>"$DIR/$name.log" 2>&1 &
    PID[$name]=$!
}

# beside NAME COMMAND... starts what is no server on the other core, and waits for its first word.
beside() {
    local name=$1 i
    shift
    : >"$DIR/$name.out"
    taskset -c "$CLIENT_CORE" "$@" >"$DIR/$name.out" 2>>"$DIR/$name.log" &
    PID[$name]=$!
    for ((i = 0; i < 100; i++)); do
        [[ ! -s $DIR/$name.out ]] || return 0
        sleep 0.1
    done
    die "$name does not run: $(cat "$DIR/$name.log")"
}

# stop ends what was started under that name, and waits for it.
stop() {
    [[ -n ${PID[$1]:-} ]] || return 0
    kill "${PID[$1]}" 2>/dev/null || true
    wait "${PID[$1]}" 2>/dev/null || true
    unset "PID[$1]"
}

# lives fails with its last words unless a program runs.
lives() { kill -0 "${PID[$1]}" 2>/dev/null || die "$1 has ended: $(tail -n 20 "$DIR/$1.log")"; }

# ask PROGRAM ARGUMENT... runs the client on its core.
ask() { taskset -c "$CLIENT_CORE" "$DIR/bin/bench" "$@"; }

# ready NAME ARGUMENT... waits until a server answers rightly.
ready() {
    local name=$1 i
    shift
    for ((i = 0; ; i++)); do
        ! ask answers "$@" "127.0.0.1:${PORT[$name]}" 2>"$DIR/why" || return 0
        lives "$name"
        ((i < 100)) || die "$name gives a wrong answer: $(cat "$DIR/why" && tail -n 20 "$DIR/$name.log")"
        sleep 0.1
    done
}

# memory prints how many KiB of a program are in memory.
memory() {
    local pid
    for pid in $(family "${PID[$1]}"); do cat "/proc/$pid/status"; done | awk '$1 == "VmRSS:" { sum += $2 } END { print sum }'
}

# drops prints how many datagrams the kernel has dropped at a server's sockets, since they were opened.
drops() {
    local hex
    hex=$(printf %04X "${PORT[$1]}")
    awk -v port="$hex" '{ split($2, at, ":") } at[2] == port { sum += $NF } END { print sum + 0 }' /proc/net/udp /proc/net/udp6
}

# dropped prints how many datagrams the kernel has dropped since it is there, because a socket was full.
dropped() { awk '$1 == "Udp:" && $6 ~ /^[0-9]+$/ { print $6 }' /proc/net/snmp; }

# sample FIELD... takes down what was measured.
sample() {
    local IFS=$'\t'
    echo "$*" >>"$DIR/samples"
}

# plexdns_corefile NAME LINE... writes a Corefile: metrics, a status page, and a block with more lines. Nodes are
# said by the lines.
plexdns_corefile() {
    local name=$1 bind=${BIND:-127.0.0.1}
    shift
    cat >"$DIR/$name.corefile.new" <<END
$ZONE:${PORT[$name]} {
    bind $bind
    errors
    prometheus 127.0.0.1:${PORT[$name.metrics]}
    plex {
        internal 127.0.0.0/8
        external 127.9.9.0/24
        uplink wan 203.0.113.7
        ns ns1 127.0.0.1
        tls off
        zonefile internal $DIR/$name.statics
        zonefile external $DIR/$name.statics
        status 127.0.0.1:${PORT[$name.status]}
        state $DIR/$name.state
$(printf '        %s\n' "$@")
    }
}
END
    mv "$DIR/$name.corefile.new" "$DIR/$name.corefile"
}

# node_lines COUNT [PORT] prints the lines of the nodes, at the port of that name.
node_lines() {
    local i
    for ((i = 0; i < $1; i++)); do
        echo "node plex$((i + 1)) 127.1.$((i / 256)).$((i % 256 + 1)):${PORT[${2:-nodes}]}"
    done
}

# machine prints what was measured on.
machine() {
    echo "$(date -u +%F), $(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores, Linux $(uname -r), $(go version | cut -d ' ' -f 3)"
}
