# Completion of plexctl, plexdns and plexproxy in bash.

_plexctl() {
    local program=${1##*/} line=${COMP_LINE:0:COMP_POINT} words word about
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current=${words[${#words[@]} - 1]} begun plexctl=plexctl
    [[ $program == plexctl ]] && plexctl=$1
    # Readline has broken the word at these, and puts in only what follows.
    begun=${current%"${current##*[:=]}"}
    COMPREPLY=()
    while IFS=$'\t' read -r word about; do
        if [[ $word == :files ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
        fi
        COMPREPLY+=("${word#"$begun"}")
    done < <("$plexctl" __complete "$program" "${words[@]:1}" 2>/dev/null)
}

complete -F _plexctl plexctl plexdns plexproxy
