#!/usr/bin/env bash
# What a proxied request costs, and an open stream: plexproxy beside Caddy as it is released, HAProxy and nginx.
#
# All of them stand before the same two nodes (one nginx with files in memory, which answers /identity as Plex
# does), over loopback, on this machine. Each is told to do the same job as well as a plain configuration can: to
# choose a node by the request's target, to ask the nodes how they are, to keep connections, to write nothing to a
# disk. Only plexproxy keeps clients on their nodes meanwhile.
#
#   usage: e2e/bench/proxy.sh [-h] [PROXY...]
#
# PROXY is plexproxy, caddy, haproxy, haproxy-splice or nginx; all by default. haproxy-splice is HAProxy that lets
# the kernel move large bodies, which goes with plain HTTP alone.
#
# It prints a table: medians over the rounds, the quartiles in brackets, and ratios to Caddy and to HAProxy of the
# same round. Machines and their neighbours differ: trust the ratios. Numbers never make it fail, only programs
# that did not run and answers that were wrong or missing.
#
#   1 KB    32 connections that are kept; each request says of its client what Plex Web says (bound), or nothing,
#           as those for Plex Web's own files (unbound)
#   8 MB    8 connections that are kept; bound
#   memory  of a fresh process, for each of many streams: films that trickle, and films of 8 MB whose clients
#           take in 16 KiB a second
#
# Variables:
#   PLEXHA_BENCH_ROUNDS   rounds of load; the proxies take turns at going first (9)
#   PLEXHA_BENCH_SECONDS  of load for each proxy, row and round (2)
#   PLEXHA_BENCH_STREAMS  open streams (1000)
#   PLEXHA_BENCH_MEMORY   rounds of memory (3)
#   PLEXHA_BENCH_CALM     seconds for a proxy to come to rest, before its memory is read (4)
#   PLEXHA_BENCH_PLEXPROXY, PLEXHA_BENCH_CADDY
#                         the plexproxy and the Caddy to measure; none: it builds one
#   CGO_ENABLED           of the programs that it builds (0, as they are released)
#
# It takes about a quarter of an hour, and needs Go, wrk, haproxy and nginx, but no network and no root.
#
# Expected: of Caddy's CPU plexproxy takes 0.7 for a small answer (0.6 with TLS), and of HAProxy's 0.75 for a large one
# (0.9 with TLS). An open stream costs 70 KiB where Caddy has 85 (both about 118 with TLS), and 5 with HAProxy: 26 of
# them are stacks of four goroutines, 18 buffers of net/http, and most others the requests on either side.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=build.sh
source e2e/bench/build.sh
# shellcheck source=process.sh
source e2e/bench/process.sh

readonly ROUNDS=${PLEXHA_BENCH_ROUNDS:-9} SECONDS_EACH=${PLEXHA_BENCH_SECONDS:-2}
readonly STREAMS=${PLEXHA_BENCH_STREAMS:-1000} MEMORY_ROUNDS=${PLEXHA_BENCH_MEMORY:-3}
readonly CALM=${PLEXHA_BENCH_CALM:-4}

readonly ZONE=home.duckdns.org
readonly HOST=plex.$ZONE
readonly TLS_ZONE=tls.$ZONE # plexproxy has one block without certificates, and one with
readonly SMALL=1024 LARGE=$((8 * 1024 * 1024))

# Rows of load: name, scheme, kind of requests, connections, bytes of each answer.
readonly LOADS=(
    "1 KB, bound, plain|http|bound|32|$SMALL"
    "1 KB, unbound, plain|http|unbound|32|$SMALL"
    "1 KB, bound, TLS|https|bound|32|$SMALL"
    "8 MB, plain|http|part|8|$LARGE"
    "8 MB, TLS|https|part|8|$LARGE"
)
# Rows of memory: name, scheme, kind of requests, bytes that each client takes in a second (0: all).
readonly MEMORIES=(
    "memory, trickle, plain|http|trickle|0"
    "memory, trickle, TLS|https|trickle|0"
    "memory, slow clients, plain|http|part|16384"
    "memory, slow clients, TLS|https|part|16384"
)

DIR=
PROXIES=(plexproxy caddy haproxy haproxy-splice nginx)
declare -A PORT PID

# die says why nothing was measured, and ends.
die() {
    echo "proxy.sh: $*" >&2
    exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' e2e/bench/proxy.sh; }

# need checks that the tools are there, and that there may be enough connections.
need() {
    local tool missing=()
    for tool in go wrk haproxy nginx; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    if ((${#missing[@]})); then
        die "${missing[*]} not found. On Debian: RUNLEVEL=1 apt-get install wrk haproxy nginx, which starts none of them"
    fi
    ulimit -n "$(ulimit -Hn)"
    if [[ $(ulimit -n) != unlimited ]] && (($(ulimit -n) < 4 * STREAMS + 500)); then
        die "$STREAMS streams need $((4 * STREAMS + 500)) open files, and $(ulimit -n) are allowed: raise ulimit -Hn, or lower PLEXHA_BENCH_STREAMS"
    fi
}

# build makes the programs that are asked for.
build() {
    local name
    go build -o "$DIR/bin/bench" ./e2e/bench
    for name in "${PROXIES[@]}"; do
        case $name in
        plexproxy) provide plexproxy "${PLEXHA_BENCH_PLEXPROXY:-}" ./cmd/plexproxy -tags nobadger,nomysql,nopgx ;;
        caddy) provide caddy "${PLEXHA_BENCH_CADDY:-}" . -C e2e/stockcaddy ;;
        esac
    done
}

# prepare writes what all share: files, a certificate, request targets, the numbers of the ports.
prepare() {
    mkdir "$DIR/files"
    head -c "$SMALL" /dev/urandom >"$DIR/files/small"
    head -c "$LARGE" /dev/urandom >"$DIR/files/large"
    "$DIR/bin/bench" cert "$DIR" "$ZONE" "$TLS_ZONE"
    local kind name ports
    for kind in bound unbound part trickle; do "$DIR/bin/bench" targets "$kind" >"$DIR/$kind"; done
    mapfile -t ports < <("$DIR/bin/bench" ports $((4 + 2 * ${#PROXIES[@]})))
    PORT[node1]=${ports[0]} PORT[node2]=${ports[1]} PORT[status1]=${ports[2]} PORT[status2]=${ports[3]}
    ports=("${ports[@]:4}")
    for name in "${PROXIES[@]}"; do
        PORT[$name.http]=${ports[0]} PORT[$name.https]=${ports[1]}
        ports=("${ports[@]:2}")
    done
}

# nginx_conf writes an nginx.conf around the http block that comes on stdin.
nginx_conf() {
    # What root starts would give its workers to a user who may not read our folder.
    ((EUID)) || echo "user $(id -un) $(id -gn);"
    cat <<END
daemon off;
worker_processes 2;
worker_rlimit_nofile $((4 * STREAMS + 500));
pid $DIR/$1.pid;
error_log stderr error;
events { worker_connections $((3 * STREAMS + 500)); }
http {
    access_log off;
    client_body_temp_path $DIR/$1.temp/body;
    proxy_temp_path $DIR/$1.temp/proxy;
    fastcgi_temp_path $DIR/$1.temp/fastcgi;
    uwsgi_temp_path $DIR/$1.temp/uwsgi;
    scgi_temp_path $DIR/$1.temp/scgi;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    send_timeout 1h;
$(cat)
}
END
}

# node_conf is one node. A Plex server tells nobody its libraries who has no token.
node_conf() {
    cat <<END
    server {
        listen 127.0.0.1:${PORT[node$1]};
        root $DIR/files;
        location = /identity {
            default_type text/xml;
            return 200 '<MediaContainer size="0" claimed="1" machineIdentifier="node$1" version="1.40.0"></MediaContainer>';
        }
        location = /library/sections { return 401; }
        location / { default_type application/json; try_files /small =404; }
        location /library/parts/ { default_type video/x-matroska; try_files /large =404; }
        location ~ /trickle.mkv\$ {
            default_type video/x-matroska;
            sendfile off; # it would send whole pages
            tcp_nopush off;
            limit_rate_after 1k; # headers and the first bytes
            limit_rate 32;
            add_header X-Accel-Buffering no;
            try_files /large =404;
        }
    }
END
}

config_nodes() {
    {
        echo "    sendfile on; tcp_nopush on; open_file_cache max=10 inactive=1h;"
        node_conf 1
        node_conf 2
    } | nginx_conf nodes >"$DIR/nodes.conf"
}

# plexproxy_block ZONE PORT TLS LISTENER is one block of plexproxy's Corefile.
plexproxy_block() {
    cat <<END
$1 {
    plex {
        node plex1 127.0.0.1:${PORT[node1]}
        node plex2 127.0.0.1:${PORT[node2]}
        tls $3
        listen $4
        proxy_status 127.0.0.1:$2
        state $DIR/state
        storage $DIR/storage
    }
}
END
}

config_plexproxy() {
    {
        plexproxy_block "$ZONE" "${PORT[status1]}" off "http://127.0.0.1:${PORT[plexproxy.http]}"
        plexproxy_block "$TLS_ZONE" "${PORT[status2]}" "files $DIR/cert.pem $DIR/key.pem" "127.0.0.1:${PORT[plexproxy.https]}"
    } >"$DIR/Corefile"
}

# The write-up's site without what lets one request at a time through, and with what Plex needs.
config_caddy() {
    cat >"$DIR/Caddyfile" <<END
{
    admin off
    persist_config off
    auto_https disable_redirects
    servers {
        timeouts {
            # A film whose client is slow is not to be cut after Caddy's minute.
            write_idle -1s
        }
    }
}
(site) {
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:${PORT[node1]} 127.0.0.1:${PORT[node2]} {
        lb_policy uri_hash
        lb_try_duration 5s
        lb_try_interval 250ms
        health_uri /identity
        health_interval 2s
        health_timeout 1s
        health_fails 2
        flush_interval -1
        stream_close_delay 24h
        transport http {
            compression off
        }
    }
}
http://$HOST:${PORT[caddy.http]} {
    import site
}
https://$HOST:${PORT[caddy.https]} {
    import site
    tls $DIR/cert.pem $DIR/key.pem
}
END
}

# config_haproxy NAME LINE: LINE is one more of its defaults.
config_haproxy() {
    cat >"$DIR/$1.cfg" <<END
global
    nbthread 2
    maxconn $((2 * STREAMS + 500))
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    option http-keep-alive
    http-reuse always
    option forwardfor
    ${2:-}
frontend main
    bind 127.0.0.1:${PORT[$1.http]}
    bind 127.0.0.1:${PORT[$1.https]} ssl crt $DIR/both.pem alpn h2,http/1.1
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    default_backend nodes
backend nodes
    balance uri whole
    hash-type consistent
    option httpchk GET /identity
    default-server check inter 2s
    server plex1 127.0.0.1:${PORT[node1]}
    server plex2 127.0.0.1:${PORT[node2]}
END
}

config_nginx() {
    nginx_conf nginx >"$DIR/nginx.conf" <<END
    upstream nodes {
        hash \$request_uri consistent;
        server 127.0.0.1:${PORT[node1]};
        server 127.0.0.1:${PORT[node2]};
        keepalive 256;
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:${PORT[nginx.http]};
        listen 127.0.0.1:${PORT[nginx.https]} ssl;
        ssl_certificate $DIR/cert.pem;
        ssl_certificate_key $DIR/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host \$http_host;
            proxy_set_header X-Real-IP \$remote_addr;
            proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto \$scheme;
            proxy_max_temp_file_size 0;
            proxy_read_timeout 1h;
        }
    }
END
}

configure() {
    local name
    config_nodes
    for name in "${PROXIES[@]}"; do
        case $name in
        haproxy) config_haproxy haproxy ;;
        haproxy-splice) config_haproxy haproxy-splice 'option splice-response' ;;
        *) "config_$name" ;;
        esac
    done
}

# start starts one program in the background. Its words go to a file.
start() {
    local command
    case $1 in
    plexproxy) command=("$DIR/bin/plexproxy" -conf "$DIR/Corefile") ;;
    caddy) command=("$DIR/bin/caddy" run --config "$DIR/Caddyfile" --adapter caddyfile) ;;
    haproxy*) command=(haproxy -db -q -f "$DIR/$1.cfg") ;;
    *) mkdir -p "$DIR/$1.temp" && command=(nginx -e stderr -p "$DIR" -c "$DIR/$1.conf") ;;
    esac
    XDG_CONFIG_HOME=$DIR XDG_DATA_HOME=$DIR "${command[@]}" >>"$DIR/$1.log" 2>&1 &
    PID[$1]=$!
}

# stop ends what was started under that name, and waits for it.
stop() {
    [[ -n ${PID[$1]:-} ]] || return 0
    kill "${PID[$1]}" 2>/dev/null || true
    wait "${PID[$1]}" 2>/dev/null || true
    unset "PID[$1]"
}

cleanup() {
    local name
    for name in "${!PID[@]}"; do stop "$name"; done
    [[ -z $DIR ]] || rm -rf "$DIR"
}

# address is what clients ask a proxy for by a scheme. All of them look for it at 127.0.0.1.
address() {
    local host=$HOST
    [[ $1.$2 != plexproxy.https ]] || host=plex.$TLS_ZONE
    echo "$2://$host:${PORT[$1.$2]}"
}

# ready waits until a proxy answers rightly on both ports.
ready() {
    local scheme i
    for scheme in http https; do
        for ((i = 0; ; i++)); do
            if "$DIR/bin/bench" check -length "$SMALL" "$(address "$1" $scheme)" "$DIR/bound" 2>"$DIR/why"; then
                break
            fi
            if ((i == 100)) || ! kill -0 "${PID[$1]}" 2>/dev/null; then
                tail -n 20 "$DIR/$1.log" "$DIR/why" >&2
                die "$1 does not run"
            fi
            sleep 0.1
        done
    done
}

# memory prints how many KiB a program has to itself, with its share of what it shares.
memory() {
    local pid
    for pid in $(family "${PID[$1]}"); do cat "/proc/$pid/smaps_rollup"; done | awk '$1 == "Pss:" { sum += $2 } END { print sum }'
}

sample() {
    local IFS=$'\t'
    echo "$*" >>"$DIR/samples"
}

# load measures a proxy under one row's load.
load() {
    local round=$1 proxy=$2 row scheme kind connections length
    IFS='|' read -r row scheme kind connections length <<<"$3"
    local url before after words
    url=$(address "$proxy" "$scheme")
    "$DIR/bin/bench" check -length "$length" "$url" "$DIR/$kind" || die "$proxy gave a wrong answer"
    before=$(cpu "$proxy")
    words=$(wrk -t 1 -c "$connections" -d "${SECONDS_EACH}s" --timeout 20s -s e2e/bench/plex.lua "$url" -- "$DIR/$kind")
    after=$(cpu "$proxy")
    local requests micros bytes errors p99
    read -r requests micros bytes errors p99 < <(sed -n 's/^measured //p' <<<"$words") || die "wrk measured nothing: $words"
    # Headers take a KiB at most; of each connection one answer may have been under way.
    ((errors == 0 && requests > 0 && bytes >= requests * length &&
        bytes <= (requests + connections) * (length + 1024))) ||
        die "$proxy, $row: $errors errors, $bytes bytes in $requests answers of $length: $words"
    sample load "$row" "$round" "$proxy" "$requests" "$micros" "$((after - before))" "$p99"
}

# hold measures what a fresh proxy needs for many open streams.
hold() {
    local round=$1 proxy=$2 row scheme kind slow
    IFS='|' read -r row scheme kind slow <<<"$3"
    stop "$proxy"
    start "$proxy"
    ready "$proxy"
    sleep $((CALM / 4)) # nothing has been asked of it yet
    local before after
    before=$(memory "$proxy")
    : >"$DIR/held"
    "$DIR/bin/bench" hold -streams "$STREAMS" -slow "$slow" "$(address "$proxy" "$scheme")" "$DIR/$kind" >"$DIR/held" &
    PID[held]=$!
    while [[ ! -s $DIR/held ]] && kill -0 "${PID[held]}" 2>/dev/null; do sleep 0.1; done
    sleep "$CALM"
    after=$(memory "$proxy")
    if ! kill "${PID[held]}" || ! wait "${PID[held]}"; then
        tail -n 20 "$DIR/$proxy.log" >&2
        die "$proxy did not hold $STREAMS streams"
    fi
    unset "PID[held]"
    sample memory "$row" "$round" "$proxy" "$STREAMS" "$before" "$after"
}

# takes_part says whether a proxy stands in a row: splicing changes nothing elsewhere.
takes_part() { [[ $1 != haproxy-splice || $2 == "8 MB, plain|"* ]]; }

# rounds FUNCTION COUNT ROW...: each round calls FUNCTION for all rows and proxies; another proxy begins each time.
rounds() {
    local function=$1 count=$2 round row i proxy
    shift 2
    for ((round = 0; round < count; round++)); do
        for row; do
            for ((i = 0; i < ${#PROXIES[@]}; i++)); do
                proxy=${PROXIES[(i + round) % ${#PROXIES[@]}]}
                if takes_part "$proxy" "$row"; then "$function" "$round" "$proxy" "$row"; fi
            done
        done
        echo "$function: round $((round + 1)) of $count" >&2
    done
}

main() {
    if [[ ${1:-} == -h ]]; then
        usage
        exit
    fi
    local name
    for name; do
        [[ " ${PROXIES[*]} " == *" $name "* ]] || die "no proxy $name: there are ${PROXIES[*]}"
    done
    (($# == 0)) || PROXIES=("$@")
    need
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    DIR=$(mktemp -d)
    build
    prepare
    configure
    for name in nodes "${PROXIES[@]}"; do start "$name"; done
    for name in "${PROXIES[@]}"; do ready "$name"; done
    rounds load "$ROUNDS" "${LOADS[@]}"
    rounds hold "$MEMORY_ROUNDS" "${MEMORIES[@]}"
    "$DIR/bin/bench" table "$DIR/samples"
}

main "$@"
