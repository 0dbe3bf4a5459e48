#compdef plexctl plexdns plexproxy
# Completion of plexctl, plexdns and plexproxy in zsh.

_plexctl() {
    local program=${words[1]:t} plexctl=plexctl word about
    local -a found shown
    [[ $program == plexctl ]] && plexctl=${words[1]}
    while IFS=$'\t' read -r word about; do
        if [[ $word == :files ]]; then
            _files
            return
        fi
        found+=("$word")
        shown+=("$word${about:+  $about}")
    done < <("$plexctl" __complete "$program" "${(@)words[2,CURRENT]}" 2>/dev/null)
    compadd -l -d shown -- "${found[@]}"
}

# Found in fpath it is the function's own body; read by `source` it is told of.
if [[ ${funcstack[1]} == _plexctl ]]; then
    _plexctl "$@"
else
    compdef _plexctl plexctl plexdns plexproxy
fi
